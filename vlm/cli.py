"""The command `nadir`: ask, info, chat, demo, serve, finetune, scan. Every verb imports what it needs when
called, so that help is instant.

A mistake of the user prints one sentence and exits with 2; anything else prints one sentence and exits with 1, or its
traceback with `nadir --debug VERB ...`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Literal

import typer

from vlm.errors import InstructionError, NadirError
from vlm.records import Task

Format = Literal[
    "text", "json", "geojson", "gpkg", "parquet", "png", "html", "coco", "dota", "yolo", "yolo-obb", "yolo-seg"
]

_Images = Annotated[list[str], typer.Argument(metavar="IMAGE [IMAGE2 ...]", show_default=False)]
_Model = Annotated[Path | None, typer.Option(metavar="DIR", help="A model directory; the built-in model by default.")]
_Budget = Annotated[int | None, typer.Option(metavar="N", min=1, help="The most tiles that may be read of an image.")]
_Window = Annotated[str | None, typer.Option(metavar="X,Y,W,H", help="Look at this part only, in pixels.")]
_Bbox = Annotated[str | None, typer.Option(metavar="LON1,LAT1,LON2,LAT2", help="Look at this part only, in degrees.")]
_Bands = Annotated[
    str | None,
    typer.Option(metavar="4,3,2|PRESET", help="Which bands to show: numbers or a preset; several as true+ndvi."),
]
_Out = Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE", help="Write here instead of the terminal.")]
_Choice = Annotated[Format | None, typer.Option("--format", "-f", help="By default that of the suffix of --out.")]
_Task = Annotated[Task | None, typer.Option(help="Say what kind of answer is wanted.")]
_Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="Ask about box:x1,y1,x2,y2, obb:cx,cy,w,h,a, polygon:x,y,... "
                 "(in pixels, or @EPSG:4326) or a GeoJSON file; 2:REGION is one of the second image; may be repeated."),
]  # fmt: skip
_Dialect = Annotated[
    str | None, typer.Option(metavar="NAME", help="The dialect of the model's text; its own by default.")
]


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def nadir(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an unexpected error.")] = False,
) -> None:
    """Ask satellite and aerial imagery; get the answer on the map."""
    if debug:
        sys.excepthook = sys.__excepthook__


@app.command()
def ask(
    words: Annotated[list[str], typer.Argument(metavar='IMAGE [IMAGE2 ...] "INSTRUCTION"', show_default=False)],
    task: _Task = None,
    format: _Choice = None,
    out: _Out = None,
    model: _Model = None,
    budget: _Budget = None,
    window: _Window = None,
    bbox: _Bbox = None,
    bands: _Bands = None,
    region: _Regions = None,
    dialect: _Dialect = None,
) -> None:
    """Ask one image, or several dates of one place, and get words, geometry and a picture.

    nadir ask scene.tif "Where are the ships?" --out ships.geojson
    """
    from vlm.cli_ask import Question, parse_words, run_ask

    images, instruction = parse_words(words)
    question = Question(images, instruction, task, budget, window, bbox, bands, tuple(region or ()), dialect)
    run_ask(question, format=format, out=out, model=model)


@app.command()
def info(
    image: Annotated[str, typer.Argument(metavar="IMAGE", show_default=False)],
    budget: _Budget = None,
    window: _Window = None,
    bbox: _Bbox = None,
    bands: _Bands = None,
    model: _Model = None,
    json: Annotated[bool, typer.Option("--json", help="One line of JSON instead of words.")] = False,
) -> None:
    """Say what an image is and what asking it would cost, before a model is loaded.

    nadir info scene.tif --budget 20
    """
    from vlm.cli_info import describe_image, render_info, render_info_json

    facts = describe_image(image, budget=budget, window=window, bbox=bbox, bands=bands, model=model)
    typer.echo(render_info_json(facts) if json else render_info(facts))


@app.command()
def chat(images: _Images, model: _Model = None, budget: _Budget = None, bands: _Bands = None) -> None:
    """Talk about one image or several dates: one question a line; an empty line or the end of the input ends it.

    nadir chat before.tif after.tif
    """
    from vlm.cli_ask import run_chat

    run_chat(images, model=model, budget=budget, bands=bands)


@app.command()
def demo(
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Your own image.")] = None,
    image2: Annotated[str | None, typer.Option(metavar="IMAGE", help="A second date of the same place.")] = None,
    ask: Annotated[
        list[str] | None, typer.Option("--ask", metavar="TEXT", help="An instruction; may be repeated.")
    ] = None,
    cases: Annotated[Path | None, typer.Option(metavar="FILE", help="A JSON list of cases.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the report goes.")] = Path("out/demo"),
    model: _Model = None,
    budget: _Budget = None,
    bands: _Bands = None,
) -> None:
    """Ask a set of instructions and write report.html, answers.json and answers.geojson; ends with a line of JSON.

    nadir demo --image scene.tif --ask "Where are the ships?" --out out/demo
    """
    from vlm.demo import run_demo, select_cases

    if image2 and not image:
        raise InstructionError(f"nadir demo got --image2 {image2} alone: name the first date with --image")
    chosen = select_cases(cases_file=cases, images=[path for path in (image, image2) if path], instructions=ask or [])
    run_demo(chosen, out=out, model=model, budget=budget, bands=bands, say=typer.echo)


@app.command()
def serve(
    model: _Model = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who generates: vllm, or local (in this process); vllm where it is there."),
    ] = None,
    host: Annotated[str, typer.Option(metavar="HOST", help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")] = 8000,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where rasters that are sent are kept.")] = Path(
        "out/serve"
    ),
    key: Annotated[
        list[str] | None,
        typer.Option("--key", metavar="KEY", envvar="NADIR_KEYS", help="Let in who has it; may be repeated."),
    ] = None,
    origin: Annotated[
        list[str] | None, typer.Option("--origin", metavar="URL", help="A page that may ask (CORS); may be repeated.")
    ] = None,
    image_host: Annotated[
        list[str] | None, typer.Option("--image-host", metavar="HOST", help="Fetch images from it; may be repeated.")
    ] = None,
    root: Annotated[
        list[Path] | None, typer.Option("--root", metavar="DIR", help="Files in it may be registered as rasters.")
    ] = None,
    allow_url: Annotated[
        list[str] | None, typer.Option("--allow-url", metavar="PREFIX", help="Fetch rasters from under it.")
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option("--limit", metavar="NAME=N", help="Such as asks=600/minute; may be repeated.")
    ] = None,
    upstream: Annotated[
        list[str] | None, typer.Option("--upstream", metavar="URL", help="Use this running vLLM; may be repeated.")
    ] = None,
    adapter: Annotated[
        list[str] | None, typer.Option("--adapter", metavar="NAME=DIR", help="Serve a LoRA by name; may be repeated.")
    ] = None,
    vllm: Annotated[str, typer.Option(metavar="OPTIONS", help='More of vllm serve: "--tensor-parallel-size 2".')] = "",
) -> None:
    """Serve a model: the OpenAI API, rasters, map tiles; needs the extra [serve].

    nadir serve --port 8000 --data rasters
    """
    run = find_room("serve.cli").run_serve
    run(
        model=model, engine=engine, host=host, port=port, data=data, keys=key or (), origins=origin or (),
        image_hosts=image_host or (), roots=root or (), prefixes=allow_url or (), limits=limit or (),
        upstreams=upstream or (), adapters=adapter or (), vllm=vllm, say=typer.echo,
        show=lambda line: typer.echo(line, err=True),
    )  # fmt: skip


@app.command()
def finetune(
    images: Annotated[Path, typer.Argument(metavar="IMAGES", help="A raster, or a folder of rasters of any size.")],
    labels: Annotated[
        Path,
        typer.Argument(
            metavar="LABELS",
            help="A vector file for all images, or a folder with one (or Pascal VOC XML) of each image's name.",
        ),
    ],
    label_field: Annotated[str | None, typer.Option(metavar="NAME", help="The field that holds the class.")] = None,
    label: Annotated[
        str | None, typer.Option(metavar="CLASS", help="What every feature is, where no field says.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where all goes; by default out/finetune-LABELS.")
    ] = None,
    minutes: Annotated[float, typer.Option(metavar="N", help="Minutes of training.")] = 10.0,
    model: _Model = None,
    holdout: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the objects that scores are taken on.")
    ] = 0.2,
    split: Annotated[
        Literal["auto", "images", "blocks"], typer.Option(help="Hold out whole images, or blocks of them.")
    ] = "auto",
    tasks: Annotated[
        str, typer.Option(metavar="A,B", help="What to teach: detect, ground, count, presence, mask, region, ...")
    ] = "",
    window_px: Annotated[
        int | None, typer.Option(metavar="N", help="Side of a training image in pixels; chosen by the objects.")
    ] = None,
    label_crs: Annotated[
        str | None, typer.Option(metavar="CRS", help="CRS of labels that state none, such as EPSG:32616, or pixels.")
    ] = None,
    point_size: Annotated[
        float | None, typer.Option(metavar="METRES", help="How wide the things are that points mark.")
    ] = None,
    seed: Annotated[int, typer.Option(metavar="N", help="Another one holds out other ground.")] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and write nothing.")] = False,
) -> None:
    """Tune a model on your own rasters and labels, and score it before and after; needs the extras [train,eval].

    nadir finetune my_images/ labels.geojson --label-field class --minutes 10
    """
    chosen = tuple(name.strip() for name in tasks.split(",") if name.strip())
    find_room("train.finetune", verb="finetune").start(
        out, dry_run=dry_run, say=typer.echo, images=str(images), labels=str(labels), label_field=label_field,
        label=label, minutes=minutes, model=None if model is None else str(model), holdout=holdout, split=split,
        tasks=chosen, window_px=window_px, label_crs=label_crs, point_size=point_size, seed=seed,
    )  # fmt: skip


@app.command()
def scan(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A raster, a folder, a VRT or a STAC file.")],
    instruction: Annotated[str, typer.Argument(metavar='"INSTRUCTION"')],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="FILE", help="A .parquet, .gpkg or .geojson file.")],
    model: _Model = None,
    engine: Annotated[str, typer.Option(metavar="NAME", help="Who generates here: local, or vllm.")] = "local",
    server: Annotated[
        list[str] | None, typer.Option("--server", metavar="URL", help="Ask this server; may be repeated.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="KEY", envvar="NADIR_KEY", help="The key of the servers.")] = None,
    served: Annotated[str | None, typer.Option(metavar="NAME", help="Which model of the servers to ask.")] = None,
    at_once: Annotated[int | None, typer.Option(metavar="N", min=1, help="Windows at once, at each server.")] = None,
    window: Annotated[int, typer.Option(metavar="PX", help="The side of a window, as the model sees it.")] = 512,
    overlap: Annotated[str, typer.Option(metavar="PX|SHARE", help="What neighbours share: 64, 0.2 or 20%.")] = "0.2",
    gsd: Annotated[float | None, typer.Option(metavar="M", help="Look at so many metres a pixel.")] = None,
    task: _Task = None,
    bands: _Bands = None,
    budget: _Budget = None,
    dialect: _Dialect = None,
    max_tokens: Annotated[int, typer.Option(metavar="N", min=1, help="The longest answer of a window.")] = 256,
    asset: Annotated[str | None, typer.Option(metavar="KEY", help="Which asset of a STAC item to read.")] = None,
    crs: Annotated[str | None, typer.Option(metavar="CRS", help="Write in it; that of the first raster else.")] = None,
    ray: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster; local starts one here.")] = None,
    actors: Annotated[int, typer.Option(metavar="N", min=1, help="Models that answer on the Ray cluster.")] = 1,
    price: Annotated[float | None, typer.Option(metavar="P", help="What an hour costs, for costs per km2.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Start again instead of going on.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what it would take; try three windows.")] = False,
) -> None:
    """Ask every window of an area of any size, and write what is found; stopped or killed, it goes on where it was.

    nadir scan area.tif "Where are the ships?" --out ships.parquet
    """
    room, settings = find_room("serve.scan.cli"), find_room("serve.scan.options")
    options = settings.ScanOptions(
        task, window, settings.parse_overlap(overlap), gsd, bands, budget, dialect, max_tokens, crs, asset
    )
    room.run_scan_command(
        source, instruction, out=out, who=room.Who(model, tuple(server or ()), key, served, engine, at_once),
        options=options, running=room.Running(ray, actors, price, fresh, dry_run), say=typer.echo,
        show=lambda line: typer.echo(line, err=True),
    )  # fmt: skip


def find_room(name: str, *, verb: str = "") -> Any:
    """Find a module of another room when its command, `verb`, is called: this room imports none.

    Raises InstructionError when the room, or a package that it needs, is not installed.
    """
    from importlib import import_module

    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        room = name.split(".")[0]
        raise InstructionError(
            f"nadir {verb or room} needs the package {error.name}, which is not installed: "
            f"pip install 'nadir-vlm[{room}]'"
        ) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (sys.argv by default); the installed command `nadir` starts here."""
    sys.excepthook = report_unexpected
    try:
        typer.main.get_command(app)(arguments, prog_name="nadir")
    except NadirError as error:
        typer.secho(f"nadir: {error}", fg="red", err=True)
        raise SystemExit(2) from error


def report_unexpected(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print an unexpected error as one sentence; Python then exits with status 1."""
    del trace
    message = " ".join(str(error).split()) or "no message"
    typer.secho(
        f"nadir: unexpected {kind.__name__}: {message}; this is a fault of Nadir: run `nadir --debug ...` to see where",
        fg="red",
        err=True,
    )


if __name__ == "__main__":
    main()
