// tokenizer.model: a vocabulary that is read works, and GGUF gets and gives back the same tokens.
#include "fuzz/only_errors.h"
#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace nibble;
  fuzz::only_errors([&] {
    const std::string_view bytes = base::as_text(fuzz::as_bytes(data, size));
    io::Vocabulary vocabulary = io::read_tokenizer_model(bytes, "tokenizer.model", {});
    io::gguf::Metadata metadata;
    io::write_gguf_vocabulary(vocabulary, metadata);
    const auto back = io::read_vocabulary(metadata, "x.gguf", {});
    fuzz::require(back.tokens == vocabulary.tokens && back.types == vocabulary.types);
    const text::Tokenizer tokenizer(std::move(vocabulary)), other(back);
    for (const std::string_view text :
         {std::string_view("Hello, \xF0\x9F\x98\x80 1234  <s>\xC3"), bytes.substr(0, 300)}) {
      const auto ids = tokenizer.encode(text, {.add_special = false});
      for (const int32_t id : ids) fuzz::require(id >= 0 && static_cast<size_t>(id) < tokenizer.size());
      fuzz::require(other.encode(text, {.add_special = false}) == ids);
      fuzz::require(tokenizer.decode(ids) == other.decode(ids));
    }
  });
  return 0;
}
