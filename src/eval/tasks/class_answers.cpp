#include "eval/tasks/class_answers.h"

#include <algorithm>

namespace nibble::eval {
namespace {

int64_t top_class(std::span<const float> row) { return std::max_element(row.begin(), row.end()) - row.begin(); }

bool among_top(std::span<const float> row, int64_t label, int64_t k) {
  if (label < 0 || label >= static_cast<int64_t>(row.size())) return false;
  int64_t larger = 0;
  for (size_t i = 0; i < row.size(); ++i)
    larger += row[i] > row[static_cast<size_t>(label)] ||
              (row[i] == row[static_cast<size_t>(label)] && static_cast<int64_t>(i) < label);
  return larger < k;
}

void score(Accuracy& a, std::span<const float> row, int64_t label) {
  ++a.samples;
  a.top1 += top_class(row) == label;
  a.top5 += among_top(row, label, 5);
}

}  // namespace

void ClassAnswers::add(std::span<const float> b, std::span<const float> a, std::optional<int64_t> label,
                       bool probabilities) {
  ++samples;
  if (label) score(after, a, *label);
  if (b.empty()) return;
  if (label) {
    score(before, b, *label);
    const bool was = top_class(b) == *label, is = top_class(a) == *label;
    ++change.samples;
    change.lost += was && !is;
    change.won += is && !was;
  }
  same_answer += top_class(a) == top_class(b);
  kl.push_back(probabilities ? kl_divergence_of_probabilities(b, a) : kl_divergence_of_logits(b, a));
}

void ClassAnswers::add(const Answers& answers, size_t i, bool probabilities) {
  const auto classes = static_cast<size_t>(answers.after[i].shape()[1]);
  const auto a = answers.after[i].values<float>();
  const auto b = answers.before.empty() ? std::span<const float>() : answers.before[i].values<float>();
  for (size_t s = 0; s < static_cast<size_t>(answers.data.size()); ++s)
    add(b.empty() ? b : b.subspan(s * classes, classes), a.subspan(s * classes, classes),
        i == 0 ? answers.data.labels[s] : std::nullopt, probabilities);
}

}  // namespace nibble::eval
