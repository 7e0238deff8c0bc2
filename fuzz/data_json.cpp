// NAME.data.json, the JSON reader under it, and the short text of a preprocessing: what is read prints to a text that
// is read back equal.
#include <string>

#include "data/description.h"
#include "data/labels.h"
#include "fuzz/only_errors.h"
#include "io/json/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  const std::string_view text = base::as_text(fuzz::as_bytes(data, size));
  const base::Limits limits;
  fuzz::only_errors([&] {
    const io::Json json = io::parse_json(text, "x.json", limits);
    fuzz::require(io::parse_json(io::to_text(json), "y.json", limits) == json);
    fuzz::require(io::parse_json(io::to_text(json, 0), "y.json", limits) == json);
  });
  fuzz::only_errors([&] {
    const data::DataDescription description = data::parse_description(text, "x.data.json", limits);
    fuzz::require(data::parse_description(data::to_text(description), "y.data.json", limits) == description);
  });
  fuzz::only_errors([&] {
    const data::Preprocessing preprocessing = data::parse_preprocessing(text);
    fuzz::require(data::parse_preprocessing(data::to_text(preprocessing)) == preprocessing);
  });
  return 0;
}
