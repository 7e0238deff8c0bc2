// vocab.json (a token's spelling: its id) and merges.txt ("left right" a line, best first): byte-level BPE as GPT-2 has
// it.
#include "base/error.h"
#include "io/vocabulary/build.h"

namespace nibble::io {

Vocabulary read_gpt2_vocabulary(std::string_view vocab_json, std::string_view merges_txt, const std::string& place,
                                const base::Limits& limits) {
  Vocabulary v;
  v.place = place;
  const Json json = parse_json(vocab_json, place, limits);
  std::vector<std::pair<std::string_view, int64_t>> listed;
  for (const auto& [token, id] : json.object(place)) listed.emplace_back(token, id.integer(place));
  place_tokens(listed, v);
  const auto ids = token_ids(v);
  for (size_t number = 1; !merges_txt.empty(); ++number) {
    const size_t end = merges_txt.find('\n');
    std::string_view line = merges_txt.substr(0, end);
    merges_txt.remove_prefix(end == std::string_view::npos ? merges_txt.size() : end + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
      base::fail_malformed(place, "line " + std::to_string(number) + " of the merges is " + base::in_quotes(line) +
                                      ", which is not two tokens");
    add_merge(line.substr(0, space), line.substr(space + 1), ids, v);
  }
  set_named_pretokenizer("gpt-2", v);
  // GPT-2's files say nothing of their one control token.
  if (const auto it = ids.find("<|endoftext|>"); it != ids.end()) {
    v.special.bos = v.special.eos = it->second;
    add_tokens({{"<|endoftext|>", {.id = it->second, .special = true}}}, v);
  }
  find_end_ids(v, {});
  check_vocabulary(v, limits);
  return v;
}

}  // namespace nibble::io
