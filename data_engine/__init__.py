"""Public datasets, masks and maps -> instruction samples (vlm.records.Sample).

Geometry is stored in pixels of the original image; text is rendered later, in any dialect. Nothing here imports torch.
`python -m data_engine VERB` is the way in; the verbs are read in this order:

    sources/      one file per official dataset layout, each with `load`; SOURCES is the dict of them
    formats/      the files that people have (LLaVA, COCO, DOTA, YOLO, VOC ...), read and written
    annotations   what is known about an image (objects, land cover, changes) in the form of a sample
    recipes/      pure functions: annotations -> instruction samples; RECIPES is the dict of them
    templates     the paraphrased instructions and the fixed forms of the answers, with wording/
    moves         flips and quarter turns of image, regions and words together
    synth/        scenes, pairs and radar images that the project renders itself, with exact labels
    annotate/     captions from an OpenAI-compatible endpoint, held against the annotations
    filter/       copies, leakage, bad text and bad geometry
    mix/          weighted, shuffled corpora and resumable streams
    store/        Parquet shards with a manifest, and the ledger of what was read, kept and dropped
    corpus        what the built-in model is trained on: which datasets, how often, and what is held out
    stage         units of work that are done once, in one process, in several, or on Ray
"""
