#include "text/pretokenize.h"

#include "base/error.h"
#include "text/normalize.h"

namespace nibble::text {
namespace {

using io::PreTokenizer;

/// A stretch of a word, and whether the pattern matched it.
struct Part {
  size_t begin, end;
  bool matched;
};

std::vector<Part> parts_of(std::string_view word, Regex::Search& search, bool invert) {
  std::vector<Part> parts;
  size_t done = 0;
  search.start(word);
  while (const auto match = search.next()) {
    if (match->begin > done) parts.push_back({done, match->begin, invert});
    parts.push_back({match->begin, match->end, !invert});
    done = match->end;
  }
  if (done < word.size()) parts.push_back({done, word.size(), invert});
  return parts;
}

/// Joins parts as the behaviour wants. Source: the description of SplitDelimiterBehavior in Hugging Face's tokenizers:
/// of "the-final--countdown" cut at "-", merged with previous: "the-", "final-", "-", "countdown"; with next: "the",
/// "-final",
/// "-", "-countdown".
void join(const std::vector<Part>& parts, PreTokenizer::Behavior behavior, std::string_view word,
          std::vector<std::string_view>& out) {
  using Behavior = PreTokenizer::Behavior;
  const auto emit = [&](size_t begin, size_t end) { out.push_back(word.substr(begin, end - begin)); };
  if (behavior == Behavior::kIsolated || behavior == Behavior::kRemoved) {
    for (const Part& p : parts)
      if (!p.matched || behavior == Behavior::kIsolated) emit(p.begin, p.end);
    return;
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    size_t last = i;
    if (behavior == Behavior::kContiguous)
      while (last + 1 < parts.size() && parts[last + 1].matched == parts[i].matched) ++last;
    const bool next_matched = i + 1 < parts.size() && parts[i + 1].matched;
    if (behavior == Behavior::kMergedWithPrevious && !parts[i].matched && next_matched) ++last;
    if (behavior == Behavior::kMergedWithNext && parts[i].matched && i + 1 < parts.size() && !next_matched) ++last;
    emit(parts[i].begin, parts[last].end);
    i = last;
  }
}

/// Words that begin at each mark.
void cut_before(std::string_view word, std::string_view mark, std::vector<std::string_view>& out) {
  size_t begin = 0;
  for (size_t at = word.find(mark, mark.size()); at != std::string_view::npos; at = word.find(mark, at + mark.size())) {
    out.push_back(word.substr(begin, at - begin));
    begin = at;
  }
  out.push_back(word.substr(begin));
}

}  // namespace

WordSplitter::WordSplitter(const std::vector<PreTokenizer>& steps, const std::string& place) {
  for (const PreTokenizer& rule : steps) {
    std::optional<Regex> regex;
    if (rule.kind == PreTokenizer::Kind::kSplit) regex.emplace(rule.pattern, place);
    steps_.push_back({rule, std::move(regex)});
  }
}

std::vector<std::string_view> WordSplitter::split(std::string_view text, bool first,
                                                  std::vector<std::unique_ptr<std::string>>& storage) const {
  std::vector<std::string_view> words, next;
  if (!text.empty()) words.push_back(text);
  const auto keep = [&](std::string made) {
    return std::string_view(*storage.emplace_back(std::make_unique<std::string>(std::move(made))));
  };
  for (const auto& [rule, regex] : steps_) {
    next.clear();
    std::optional<Regex::Search> search;
    if (regex) search.emplace(*regex);
    for (std::string_view word : words) {
      const bool begins = first && word.data() == words.front().data();
      switch (rule.kind) {
        case PreTokenizer::Kind::kSplit:
          join(parts_of(word, *search, rule.invert), rule.behavior, word, next);
          break;
        case PreTokenizer::Kind::kByteLevel:
          if (rule.prefix_space && word.front() != ' ') word = keep(' ' + std::string(word));
          next.push_back(word);
          break;
        case PreTokenizer::Kind::kMetaspace: {
          std::string marked = replaced(word, " ", rule.content);
          const bool wanted =
              rule.scheme == PreTokenizer::Scheme::kAlways || (rule.scheme == PreTokenizer::Scheme::kFirst && begins);
          if (wanted && !marked.starts_with(rule.content)) marked.insert(0, rule.content);
          word = keep(std::move(marked));
          if (rule.cut)
            cut_before(word, rule.content, next);
          else
            next.push_back(word);
          break;
        }
      }
    }
    words.swap(next);
    if (words.empty()) break;
  }
  return words;
}

}  // namespace nibble::text
