#!/usr/bin/env python3
"""The HTML report, opened in a browser: it shows what the JSON says, at every width and in both colour schemes, needs nothing
from outside, and nothing that a network says becomes markup."""
import json
import os
import re

from chromium import Browser
from harness import check, finish, nothing_left, path, read, refused, succeeds, write
from onnx_file import classifier, images_npy, model, node, normal, value

# Names that would be markup, end a script, an attribute or a comment, or turn the reading direction.
HOSTILE = ['</script><script>window.pwned=1</script>', '"><img src=x onerror=window.pwned=1>', "<!--' & &lt; &amp;", "n\u202etxt.\u2603"]


def hostile_network():
    nodes, tensors, source = [], [], "x"
    for i, name in enumerate(HOSTILE):
        out = name + "|out"
        nodes.append(node("Conv", [source, name + "|w"], [out], name=name, pads=[1, 1, 1, 1]))
        tensors.append(normal(name + "|w", [8, 3 if i == 0 else 8, 3, 3], 0.3))
        source = out
    return model(nodes, [value("x", ["N", 3, 8, 8])], [value(source, ["N", 8, 8, 8])], tensors, name=HOSTILE[0])


net = write("net.onnx", classifier())
data = write("data.npy", images_npy(24))
labels = write("labels.txt", "".join("%d\n" % (i % 4) for i in range(24)))
hostile = write("<b>hostile & 'net'.onnx", hostile_network())

succeeds("quantize", net, "-o", "q.onnx", "--scheme", "W4A8", "--keep", "first", "--calib", data, "--html", "quantize.html", "--json", "quantize.json")
succeeds("eval", "q.onnx", "--baseline", net, "--data", data, "--labels", labels, "--seconds", "0.1", "--html", "eval.html", "--json", "eval.json")
succeeds("eval", net, "--data", data, "--labels", labels, "--no-latency", "--html", "alone.html", "--json", "alone.json")
succeeds("eval", hostile, "--scheme", "W4A16", "--data", data, "--no-latency", "--html", "hostile.html", "--json", "hostile.json")

# Written as every other output is.
refused(2, "eval", net, "--data", data, "--no-latency", "--html", "eval.html", says=["eval.html", "exists", "--force"])
refused(5, "eval", net, "--data", data, "--no-latency", "--html", "missing/eval.html", says="missing")
refused(2, "eval", net, "--data", data, "--html", "./same", "--json", "same", says=["--html", "--json"])
refused(2, "quantize", net, "-o", "fresh.onnx", "--html", "eval.html", says=["eval.html", "exists"])
check(not os.path.exists(path("fresh.onnx")) and not os.path.exists(path("same")), "a report was refused after the work was done")
refused(5, "eval", net, "--data", "missing", "--html", "left.html", says="missing")
nothing_left("a refusal")
refused(2, "quantize", net, "--dry-run", "--html", "dry.html", says=["--html", "--dry-run"])
check(not os.path.exists(path("dry.html")), "--dry-run wrote a page")
again = ["quantize", net, "-o", "again.onnx", "--html", "again.html", "--force"]
succeeds(*again)
first = read("again.html")
succeeds(*again)
check(read("again.html") == first, "the same command wrote another page")

# WCAG's contrast of every piece of text with what it stands on; 4.5 is its level AA.
LOWEST_CONTRAST = """(() => {
  const channel = (v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const numbers = (c) => c.match(/[\\d.]+/g).map(Number);
  const luminance = (c) => 0.2126 * channel(c[0]) + 0.7152 * channel(c[1]) + 0.0722 * channel(c[2]);
  const ground = (e) => {
    for (; e; e = e.parentElement) { const c = numbers(getComputedStyle(e).backgroundColor); if (c.length < 4 || c[3] === 1) return c; }
    return [255, 255, 255];
  };
  let least = [99, ''];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || e.tagName === 'SCRIPT') continue;
    const style = getComputedStyle(e), svg = e instanceof SVGElement;
    const [a, b] = [luminance(numbers(svg ? style.fill : style.color)), luminance(ground(e))].sort((x, y) => y - x);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < least[0]) least = [contrast, text];
  }
  return least;
})()"""
FACTS = """(() => ({
  lang: document.documentElement.lang, title: document.title, h1: document.querySelectorAll('h1').length,
  headings: [...document.querySelectorAll('h1,h2,h3')].map((h) => Number(h.tagName[1])),
  scripts: document.scripts.length, pwned: window.pwned ?? null, images: document.querySelectorAll('img,iframe,object,embed,link').length,
  unscoped: document.querySelectorAll('th:not([scope])').length, tables: document.querySelectorAll('table').length,
  unnamed: document.querySelectorAll('svg:not([aria-label]):not([aria-hidden])').length,
  buttons: [...document.querySelectorAll('button')].filter((b) => !b.textContent.trim()).length,
  handlers: [...document.querySelectorAll('*')].filter((e) => [...e.attributes].some((a) => /^on|^style$/.test(a.name))).length,
  json: document.getElementById('report').textContent,
  text: document.querySelector('main').textContent,
  names: [...document.querySelectorAll('.layers tbody th')].map((th) => th.textContent),
  figures: document.querySelectorAll('figure').length,
  levels: [...document.querySelectorAll('figure .level')].map((p) => (p.getAttribute('d').match(/M/g) ?? []).length),
}))()"""

browser = Browser()
pages = {}
for name in ("quantize", "eval", "alone", "hostile"):
    browser.open(path(name + ".html"))
    facts = pages[name] = browser.evaluate(FACTS)
    check(json.loads(facts["json"]) == json.loads(read(name + ".json")), "%s: the embedded JSON is not that of --json" % name)
    check(facts["lang"] == "en" and facts["title"] and facts["h1"] == 1, (name, facts["lang"], facts["title"], facts["h1"]))
    levels = facts["headings"]
    check(all(b - a <= 1 for a, b in zip(levels, levels[1:])), "%s: headings jump: %s" % (name, levels))
    check(facts["scripts"] == 2 and facts["pwned"] is None and facts["images"] == 0, "%s: markup from outside" % name)
    check(facts["handlers"] == 0, "%s: attributes that the policy forbids" % name)
    check(facts["tables"] >= 2 and facts["unscoped"] == 0 and facts["unnamed"] == 0 and facts["buttons"] == 0, (name, facts))
    for width, dark, media in ((1280, False, ""), (1280, True, ""), (390, False, ""), (390, True, ""), (320, False, ""), (760, False, ""), (720, True, "print")):
        browser.view(width, dark, media)
        wide = browser.evaluate("document.documentElement.scrollWidth")
        check(wide <= width, "%s: %d wide in a window of %d %s" % (name, wide, width, media))
        contrast, text = browser.evaluate(LOWEST_CONTRAST)
        check(contrast >= 4.5, "%s: contrast %.2f of %r (%d, dark %s, %s)" % (name, contrast, text, width, dark, media))
    grounds = []
    for dark in (False, True):
        browser.view(1280, dark)
        grounds.append(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    check(grounds[0] != grounds[1], "%s: dark and light are one" % name)
    browser.evaluate("new Promise((f) => requestAnimationFrame(() => setTimeout(f, 50)))")
    asked = [e["params"]["request"]["url"] for e in browser.events if e["method"] == "Network.requestWillBeSent"]
    check(len(asked) == 1 and asked[0].startswith("file:"), "%s asks for %s" % (name, asked))
    faults = [e["params"] for e in browser.events if e["method"] in ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")]
    check(not faults, "%s: %s" % (name, faults))
    # The policy holds: scripts and requests that are not the page's own are refused.
    check(browser.evaluate("(() => { const s = document.createElement('script'); s.textContent = 'window.foreign = 1'; document.body.append(s); return window.foreign ?? null; })()") is None,
          "%s: a foreign script ran" % name)
    check(browser.evaluate("fetch('data:,x').then(() => 'got', () => 'refused')") == "refused", "%s: a request was allowed" % name)

# What the pages show is what was measured.
report = json.loads(read("eval.json"))
shown = pages["eval"]["text"]
accuracy = report["accuracy"]
for text in ("%.2f %%" % (100 * accuracy["before"]["top1_share"]), "%.2f %%" % (100 * accuracy["after"]["top1_share"]), report["verdict"], report["command"],
             report["version"], report["commit"]):
    check(text in shown, "the page does not show %r" % text)
check([f["role"] for f in report["files"]] == ["network", "baseline", "data"] and all(f["sha256"] in shown for f in report["files"]), report["files"])
import hashlib  # noqa: E402
for entry, file in zip(report["files"], ("q.onnx", "net.onnx", "data.npy")):
    check(entry["sha256"] == hashlib.sha256(read(file)).hexdigest(), "another hash than hashlib's: %s" % entry)
check(sorted(pages["eval"]["names"]) == ["conv1", "conv2", "fc"], pages["eval"]["names"])
check(pages["eval"]["levels"] == [16, 16, 0], "int4 has 16 levels, int8's are not drawn: %s" % pages["eval"]["levels"])
check(pages["quantize"]["figures"] == 3 and pages["alone"]["figures"] == 0, "figures: %s %s" % (pages["quantize"]["figures"], pages["alone"]["figures"]))
check("nibble eval q.onnx --baseline" in pages["quantize"]["text"], "the page of quantize does not name the next command")
quantized = json.loads(read("quantize.json"))
weights = {w["layer"]: w["sqnr_db"] for w in report["weights"]}
for layer in quantized["layers"]:
    check(abs(weights[layer["layer"]] - layer["sqnr_db"]) < 1e-3, "eval and quantize disagree on %s: %s" % (layer, weights))

# Hostile names are text, to the letter.
check(sorted(pages["hostile"]["names"]) == sorted(HOSTILE), pages["hostile"]["names"])
check("<b>hostile & 'net'.onnx" in pages["hostile"]["title"], pages["hostile"]["title"])
raw = read("hostile.html").decode()
check("<img" not in raw and raw.count("<script") == 2 and raw.count("</script") == 2, "a name became markup in the file")

# Sorting, by numbers and by text, both ways, and back to the order of execution.
browser.open(path("eval.html"))
COLUMN = "(() => { const b = [...document.querySelectorAll('.layers button')].find((b) => b.textContent === %s); %s const i = [...b.closest('tr').children].indexOf(b.closest('th')); return [b.closest('th').ariaSort, [...document.querySelectorAll('.layers tbody tr')].map((r) => r.children[i].dataset.value)]; })()"
for column, number in (("layer", False), ("bits", True), ("weights", True), ("output", True), ("cosine", True), ("#", True)):
    key = float if number else str
    orders = []
    for _ in range(2):
        sort, values = browser.evaluate(COLUMN % (json.dumps(column), "b.click();"))
        orders.append(sort)
        values = [key(v) for v in values]
        check(values == sorted(values, reverse=sort == "descending"), "%s %s: %s" % (column, sort, values))
    check(sorted(orders) == ["ascending", "descending"], "%s: %s" % (column, orders))
check(browser.evaluate("document.querySelectorAll('.layers [aria-sort]').length") == 1, "two columns claim the order")

# The JSON opens as text.
opened = browser.evaluate("new Promise((f) => { const d = document.getElementById('json'); d.addEventListener('toggle', () => f(d.querySelector('pre').textContent)); d.open = true; })")
check(json.loads(opened) == report, "the opened JSON is another one")
check(re.match(r"JVBER", browser.call("Page.printToPDF")["data"]), "the page does not print")  # "%PDF" in base 64

finish()
