#!/usr/bin/env python3
"""eval --task: what is chosen, what is said, what --max-drop gates on, and the tasks on networks that need them."""
import json

from harness import check, finish, read, refused, run, shared, succeeds, write
from onnx_file import classifier, images_npy, model, node, normal, value

net = write("net.onnx", classifier())
data = write("data.npy", images_npy(24))
labels = write("labels.txt", "".join("%d\n" % (i % 4) for i in range(24)))


def evaluated(*arguments):
    result = succeeds("eval", *arguments, "--no-latency", "--json", "report.json", "--html", "report.html", "--force")
    return result, json.loads(read("report.json"))


# What is chosen is said, in text, JSON and HTML alike.
for more, name in (["--labels", labels], "classify"), ([], "agreement"), (["--task", "mse"], "mse"), (["--task", "psnr"], None):
    if name is None:
        refused(4, "eval", net, "--scheme", "W4A16", "--data", data, "--no-latency", *more, says=["psnr", "[16,4]"])
        continue
    result, report = evaluated(net, "--scheme", "W4A16", "--data", data, *more)
    check(report["task"]["name"] == name, report["task"])
    check("task         %s (%s)" % (name, report["task"]["chosen"]) in " ".join(result.out.split("\n")), result)
    check(report["task"]["chosen"] in read("report.html").decode(), "the page does not say why %s was chosen" % name)
    check(len(report["outputs"]) == 1 and report["outputs"][0]["relative_error"] == report["output"]["relative_error"], report["outputs"])
refused(2, "eval", net, "--data", data, "--task", "guess", says=["guess", "agreement"])
refused(2, "eval", net, "--data", data, "--task", "ctc", "--no-latency", says="alphabet")
refused(5, "eval", net, "--data", data, "--references", "missing.tsv", "--no-latency", says="missing.tsv")

# Every output is scored and listed, and the worst decides.
two = write("two.onnx", model(
    [node("Conv", ["x", "a"], ["near"], pads=[1, 1, 1, 1]), node("Conv", ["near", "b"], ["far"], pads=[1, 1, 1, 1])],
    [value("x", ["N", 3, 8, 8])], [value("near", ["N", 4, 8, 8]), value("far", ["N", 4, 8, 8])],
    [normal("a", [4, 3, 3, 3]), normal("b", [4, 4, 3, 3])]))
result, report = evaluated(two, "--scheme", "W4A16", "--data", data)
check([o["name"] for o in report["outputs"]] == ["near", "far"], report["outputs"])
check("output error near" in result.out and "output error far" in result.out, result)
worst = max(o["relative_error"] for o in report["outputs"])
check(abs(report["drop_points"] - 100 * worst) < 1e-9, report["drop_points"])
for allowed, status in (100 * worst + 1, 0), (100 * worst / 2, 1):
    gate = run("eval", two, "--scheme", "W4A16", "--data", data, "--no-latency", "--max-drop", "%.3f" % allowed)
    check(gate.status == status, gate)

# The networks that the tasks are for; the float figures are those of the data's own description.
models = shared("models", "super_resolution_x3.onnx")
images = shared("superres", "superres_5.zip")
if models and images:
    result, report = evaluated(models, "--data", images, "--references", "_lr=_hr", "--preprocess", "order=grey,scale=1/255", "--task", "psnr:border=6")
    check(abs(report["psnr"]["after_db"] - 30.942) < 0.0005, report["psnr"])
    check(report["psnr"]["images"] == 5, report["psnr"])
    result, report = evaluated(models, "--scheme", "W8A16", "--data", images, "--references", "_lr=_hr", "--preprocess", "order=grey,scale=1/255")
    check(report["task"]["name"] == "psnr" and report["psnr"]["change"]["interval"][0] <= -report["drop_points"], report["psnr"])

finish()
