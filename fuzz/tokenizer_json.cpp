// tokenizer.json: a vocabulary that is read works, on text that is in the file too; what it makes of text becomes text
// again.
#include "fuzz/only_errors.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const std::string_view bytes = base::as_text(fuzz::as_bytes(data, size));
    const text::Tokenizer tokenizer(io::read_tokenizer_json(bytes, "tokenizer.json", {}));
    int64_t dropped = 0;
    for (const std::string_view text :
         {std::string_view("Hello, \xF0\x9F\x98\x80 1234  <s>\xC3"), bytes.substr(0, 300)}) {
      const auto ids = tokenizer.encode(text, {.parse_special = true, .dropped = &dropped});
      for (const int32_t id : ids) fuzz::require(id >= 0 && static_cast<size_t>(id) < tokenizer.size());
      text::Tokenizer::Stream stream(tokenizer);
      std::string all;
      for (const int32_t id : ids) all += stream.push(id);
      fuzz::require(all + stream.finish() == tokenizer.decode(ids));
    }
  });
  return 0;
}
