#include "eval/html/page.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "eval/html/curve.h"
#include "eval/html/escape.h"
#include "eval/html/figures.h"
#include "eval/html/page_files.h"
#include "eval/table.h"
#include "io/hash/sha256.h"

namespace nibble::eval {
namespace {

using html::bar;
using html::escaped;

constexpr size_t kDrawn = 6;  // layers whose weights are drawn

std::string db_text(double db) { return std::isinf(db) ? "exact" : fmt::format("{:.1f}", db); }
/// What a cell is sorted by; an exact layer comes after every other one.
std::string sort_key(double value) { return std::isinf(value) ? "1e9" : fmt::format("{:.9g}", value); }

/// Lists without spaces may break after their commas.
std::string breakable(std::string text) {
  for (size_t at = 0; (at = text.find(',', at)) != std::string::npos; at += 6) text.insert(at + 1, "<wbr>");
  return text;
}

std::string policy() {
  const auto hash = [](std::string_view text) {
    return "'sha256-" + io::base64_text(io::sha256(base::as_bytes(text))) + "'";
  };
  return fmt::format("default-src 'none'; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
                     hash(html::kCss), hash(html::kScript));
}

void add_bars(const Page& page, std::string& out) {
  if (page.bars.empty()) return;
  out += "<div class=\"bars\">\n";
  for (const PageBar& b : page.bars) {
    out += fmt::format("<section><h2>{}</h2>\n<p class=\"change\">{}</p>\n", escaped(b.label), escaped(b.change));
    const auto line = [&](const char* css, const std::string& what, const std::string& text, double value) {
      out += fmt::format("<div class=\"row\"><span>{}</span><b>{}</b></div>\n", what, escaped(text));
      out += bar(b.full > 0 ? value / b.full : 0, css, b.label + " " + what + ": " + text) + "\n";
    };
    if (b.before) line("before", "before", b.before_text, *b.before);
    line("after", page.two ? "after" : "", b.after_text, b.after);
    out += "</section>\n";
  }
  out += "</div>\n";
}

void add_bill(const Page& page, std::string& out) {
  out += "<h2>The bill</h2>\n<table class=\"cards bill\"><thead><tr><th scope=\"col\">figure</th>";
  if (page.two) out += "<th scope=\"col\">before</th>";
  out += page.two ? "<th scope=\"col\">after</th><th scope=\"col\">change</th>"
                  : "<th scope=\"col\">value</th><th scope=\"col\">remark</th>";
  out += "</tr></thead>\n<tbody>\n";
  const auto cell = [&](std::string_view label, const std::string& text) {
    if (text.empty() || text == "-")
      out += "<td></td>";
    else
      out += fmt::format("<td{}>{}</td>", label.empty() ? "" : fmt::format(" data-label=\"{}\"", label), escaped(text));
  };
  for (const BillRow& row : page.bill) {
    out += fmt::format("<tr><th scope=\"row\">{}</th>", escaped(row.label));
    if (page.two) cell("before", row.before);
    cell(page.two ? "after" : "", row.after);
    cell("", row.change);
    out += "</tr>\n";
  }
  out += "</tbody></table>\n";
}

void add_facts(const std::vector<PageFact>& facts, std::string& out) {
  if (facts.empty()) return;
  out += "<dl>\n";
  for (const PageFact& f : facts)
    out += fmt::format("<dt>{}</dt><dd>{}</dd>\n", escaped(f.label), breakable(escaped(f.value)));
  out += "</dl>\n";
}

std::string decibel_cell(const std::optional<double>& db, double full, int bits, const char* label) {
  if (!db) return "<td class=\"n\" data-value=\"\"></td>";
  const std::string text = db_text(*db);
  return fmt::format(
      "<td class=\"n\" data-label=\"{}\" data-value=\"{}\"><span class=\"meter\">{}<span>{}{}</span></span></td>",
      label, sort_key(*db), bar(*db / full, html::bits_class(bits), fmt::format("{} {}", label, text), 8), text,
      std::isinf(*db) ? "" : "<span class=\"unit\"> dB</span>");
}

void add_layers(const Page& page, std::string& out) {
  if (page.layers.empty()) return;
  double full = 20;
  bool any_output = false, any_weight = false;
  for (const PageLayer& l : page.layers) {
    for (const auto& db : {l.weight_db, l.output_db})
      if (db && std::isfinite(*db)) full = std::max(full, *db);
    any_output = any_output || l.output_db;
    any_weight = any_weight || l.weight_db;
  }
  full = std::ceil(full / 10) * 10;
  const auto key = [&](const char* css, const char* text) {
    return fmt::format(
        "<span class=\"key\"><svg width=\"12\" height=\"12\" aria-hidden=\"true\"><rect class=\"{}\" width=\"12\" "
        "height=\"12\" rx=\"3\"/></svg>{}</span>",
        css, text);
  };
  out += fmt::format(
      "<h2>Layer by layer</h2>\n<div class=\"scroll\" role=\"region\" aria-label=\"layers\" tabindex=\"0\"><table "
      "class=\"cards layers\"><caption><p>{} A bar of full length is {:.0f} "
      "dB.</p><p>{}{}{}</p></caption>\n<thead><tr>",
      escaped(page.layers_text), full, key("b4", "4 bits"), key("b8", "8 bits"), key("wide", "floats"));
  const auto heading = [&](const char* text, bool number, const char* sorted = "") {
    out += fmt::format("<th scope=\"col\"{}{}><button type=\"button\" data-kind=\"{}\">{}</button></th>",
                       number ? " class=\"n\"" : "", sorted, number ? "number" : "text", text);
  };
  heading("layer", false);
  heading("#", true, any_output || any_weight ? "" : " aria-sort=\"ascending\"");
  heading("operator", false);
  heading("shape", true);
  heading("format", false);
  heading("bits", true);
  if (any_weight) heading("weights", true, any_output ? "" : " aria-sort=\"ascending\"");
  if (any_output) heading("output", true, " aria-sort=\"ascending\"");
  if (any_output) heading("cosine", true);
  out += "</tr></thead>\n<tbody>\n";
  std::vector<size_t> order(page.layers.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto error = [&](size_t i) {
    const auto& db = any_output ? page.layers[i].output_db : page.layers[i].weight_db;
    return db ? std::min(*db, 1e9) : INFINITY;
  };
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return error(a) < error(b); });
  for (const size_t i : order) {
    const PageLayer& l = page.layers[i];
    const std::string name = escaped(l.name), shape = escaped(l.shape), format = escaped(l.format), op = escaped(l.op);
    out += fmt::format(
        "<tr><th scope=\"row\" data-value=\"{}\">{}</th><td class=\"n\" data-label=\"#\" data-value=\"{}\">{}</td>"
        "<td data-value=\"{}\">{}</td><td class=\"n\" data-value=\"{}\">{}</td><td class=\"short\" "
        "data-value=\"{}\">{}</td>"
        "<td class=\"n\" data-label=\"bits\" data-value=\"{:.9g}\">{:.2f}</td>",
        name, name, i + 1, i + 1, op, op, l.bytes, shape, format, format, l.bits_per_weight, l.bits_per_weight);
    if (any_weight) out += decibel_cell(l.weight_db, full, l.bits, "weights");
    if (any_output) out += decibel_cell(l.output_db, full, l.bits, "output");
    if (any_output)
      out += l.cosine ? fmt::format("<td class=\"n\" data-label=\"cosine\" data-value=\"{:.9g}\">{:.5f}</td>",
                                    *l.cosine, *l.cosine)
                      : "<td class=\"n\" data-value=\"\"></td>";
    out += "</tr>\n";
  }
  out += "</tbody></table></div>\n";
}

void add_figures(const Page& page, std::string& out) {
  std::vector<const WeightError*> worst;
  for (const WeightError& w : page.weights)
    if (w.real && w.stored.quantization() && w.real.elements() > 0) worst.push_back(&w);
  if (worst.empty()) return;
  std::stable_sort(worst.begin(), worst.end(), [](const auto* a, const auto* b) { return a->sqnr_db < b->sqnr_db; });
  const size_t all = worst.size();
  if (worst.size() > kDrawn) worst.resize(kDrawn);
  out += fmt::format(
      "<h2>{}</h2>\n<p class=\"soft\">Grey: how the float weights are distributed, each divided by the scale of its "
      "group "
      "(with its zero point or offset) so that all groups share one axis. Lines: the levels that they were rounded to, "
      "numbered as the format numbers them. Clipped weights lie more than half a step outside. Below: least and "
      "largest "
      "weight of every output channel, in their own units.</p>\n<div class=\"figures\">\n",
      all > worst.size() ? fmt::format("The {} weights that lost most, of {}", worst.size(), all)
                         : "The weights, worst first");
  for (const WeightError* w : worst) {
    const WeightHistogram h = weight_histogram(*w);
    const std::string name = w->name + " · " + (std::isinf(w->sqnr_db) ? "exact" : db_text(w->sqnr_db) + " dB");
    out += fmt::format("<figure><h3>{}</h3>\n{}<figcaption>{}</figcaption></figure>\n", escaped(name),
                       html::histogram(h, "histogram of the weights of " + w->name),
                       escaped(html::histogram_caption(*w, h)));
  }
  out += "</div>\n";
}

void add_curves(const Page& page, std::string& out) {
  if (page.curves.empty()) return;
  out += "<h2>Over time</h2>\n<div class=\"figures\">\n";
  for (const PageCurve& c : page.curves)
    out += fmt::format("<figure><h3>{}</h3>\n{}<figcaption>{}</figcaption></figure>\n", escaped(c.title),
                       html::curve(c), escaped(c.caption));
  out += "</div>\n";
}

void add_provenance(const Page& page, std::string& out) {
  out += fmt::format("<h2>How this was made</h2>\n<pre>{}</pre>\n", escaped(page.command));
  add_facts(page.provenance, out);
  if (!page.inputs.empty()) {
    out +=
        "<table class=\"cards\"><thead><tr><th scope=\"col\">input</th><th scope=\"col\">file</th><th "
        "scope=\"col\">SHA-256</th></tr></thead>\n<tbody>\n";
    for (const InputFile& file : page.inputs)
      out += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td><code>{}</code></td></tr>\n", escaped(file.role),
                         escaped(file.name), file.sha256);
    out += "</tbody></table>\n";
  }
  out += "<details id=\"json\"><summary>The whole report as JSON</summary><pre></pre></details>\n";
}

}  // namespace

std::string to_html(const Page& page) {
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"{}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n"
      "<meta name=\"generator\" content=\"nibble\">\n<title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n",
      policy(), escaped(page.title), html::kCss);
  out += fmt::format("<header><div class=\"kind\">{}</div>\n<h1>{}</h1>\n", escaped(page.kind), escaped(page.title));
  if (!page.lead.empty()) out += fmt::format("<p class=\"lead\">{}</p>\n", escaped(page.lead));
  for (const std::string& note : page.notes) out += fmt::format("<p class=\"soft\">{}</p>\n", escaped(note));
  out += "</header>\n";
  add_bars(page, out);
  add_bill(page, out);
  add_facts(page.facts, out);
  if (!page.next.empty())
    out += fmt::format("<h2>{}</h2>\n<pre>{}</pre>\n", escaped(page.next_text), escaped(page.next));
  add_curves(page, out);
  add_layers(page, out);
  add_figures(page, out);
  add_provenance(page, out);
  out += fmt::format(
      "</main>\n<script type=\"application/json\" id=\"report\">{}</script>\n<script>{}</script>\n</body>\n</html>\n",
      html::script_safe(io::to_text(page.json)), html::kScript);
  return out;
}

}  // namespace nibble::eval
