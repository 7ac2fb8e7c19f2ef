"""The command lines, and the table of those that `manyfaces COMMAND` calls.

A new command is a module with `main(arguments)` and a row here. A command of two words belongs to the group that its
first word names. Nothing is imported for the table.
"""

from typing import NamedTuple


class Command(NamedTuple):
    """A row of the table."""

    module: str  # below this package; empty: a group
    line: str  # of --help
    tool: str = ""  # the file in tools/ that calls the same function, without .py; empty: none
    function: str = "main"  # of the module


COMMANDS = {
    "detect": Command("demo", "find faces in images, folders, videos or a camera, and draw them or write JSON", "demo",
                      "detect"),
    "demo": Command("demo", "the same on two portraits and a crowd made of them, where no SOURCE is given", "demo"),
    "bulk": Command("bulk.main", "find faces in very many images, on one machine or a cluster, and write Parquet",
                    "bulk"),
    "web": Command("web", "show a page that finds faces in a browser, or write it for a static host"),
    "serve": Command("serve", "answer images over HTTP with faces as JSON, with a page to try it"),
    "train": Command("train", "train a detector, or a shipped one further on your own photographs", "train"),
    "search": Command("search", "search for better values of config keys, with Optuna"),
    "test": Command("test", "write a detector's predictions for a folder of images", "test"),
    "evaluate": Command("evaluate.main", "measure predictions: WIDER FACE, FDDB, COCO, Pascal VOC, roidbs", "evaluate"),
    "compare": Command("compare", "measure detectors beside each other on annotated images: AP and time"),
    "report": Command("report", "write an HTML page that shows where a detector errs", "report"),
    "export": Command("models.export", "export weights as ONNX, OpenVINO IR, LiteRT or SavedModel", "export"),
    "ship": Command("models.ship", "put a training's weights where the package finds them by name", "ship"),
    "adjust": Command("models.adjust", "lower the scores of small anchors, as the selection images say", "adjust"),
    "import": Command("models.import_weights", "make weight files from those of other frameworks", "import_weights"),
    "flops": Command("models.flops", "print parameters and multiply-adds of a net per layer", "flops"),
    "info": Command("info", "print versions, runtimes, devices, detectors: what a bug report needs"),
    "data": Command("", "read, make and convert data sets"),
    "data build": Command("data.build_roidb", "read an annotation, print its statistics, write the roidb for training",
                          "build_roidb"),
    "data fetch": Command("data.fetch", "fetch public data sets and weights from their official addresses"),
    "data toy": Command("data.make_toy", "write a synthetic data set in WIDER FACE's layout", "make_toy"),
    "data ignore": Command("data.ignore_unlabelled", "mark faces that nobody labelled as ignored", "ignore_unlabelled"),
    "data crowds": Command("data.make_crowds", "make crowds of the images of roidbs", "make_crowds"),
    "data coco": Command("data.wider_to_coco", "turn any annotation into COCO JSON", "wider_to_coco"),
    "data convert": Command("data.convert_results", "turn COCO result JSON into prediction folders and back",
                            "convert_results"),
    "data templates": Command("data.cluster_templates", "derive templates or anchors from the sizes of faces",
                              "cluster_templates"),
    "data samples": Command("data.mtcnn_samples", "cut the samples that a stage of MTCNN is trained on",
                            "mtcnn_samples"),
}
