"""Public datasets, masks and maps -> instruction samples (vlm.records.Sample).

Geometry is stored in pixels of the original image; text is rendered later, in any dialect. Nothing here imports torch.

    sources/      one file per official dataset layout, each with `load`; SOURCES is the dict of them
    templates     the paraphrased instructions and the fixed forms of the answers
    generate      pure functions: geometry + phrase + generator of random numbers -> turn
    phrases       phrases that name exactly one of the objects in an image
    labels        label images -> masks and their connected components
"""
