// Texts to tokens and back, for comparisons from Python.
//
//   tokenize_texts MODEL [special] < TEXTS      for each text: its tokens, and the text that they decode to
//   tokenize_texts --words NAME < TEXTS         for each text: the words that a named pre-tokenizer cuts it into
//   tokenize_texts --split PATTERN < TEXTS      the same, cut at a regular expression
//   tokenize_texts --form C|D < TEXTS           the text in that normalization form, as one word
//   tokenize_texts --patterns                   the named pre-tokenizers: a line a name, then a line a pattern, then an
//   empty one tokenize_texts --gguf MODEL OUT             the vocabulary as a GGUF file tokenize_texts --speed MODEL <
//   TEXTS        the seconds of processor time that encoding takes, and the number of tokens
//
// All numbers are 32 bits, little-endian; a text is its length in bytes and its bytes, and so is a word. For a text
// come the number of tokens, the tokens and the decoded text; or the number of words and the words; or -1 and a
// message.
#include <cstdio>
#include <ctime>
#include <iostream>
#include <iterator>

#include "base/bytes.h"
#include "io/gguf/write.h"
#include "text/canonical_form.h"
#include "text/pretokenize.h"
#include "text/tokenizer.h"

namespace {

using namespace nibble;

void put(std::string& out, int32_t value) { out.append(reinterpret_cast<const char*>(&value), sizeof value); }
void put(std::string& out, std::string_view text) {
  put(out, static_cast<int32_t>(text.size()));
  out += text;
}

template <typename Work>
void for_each_text(const Work& work) {
  const std::string all((std::istreambuf_iterator<char>(std::cin)), {});
  base::Cursor cursor(base::as_bytes(all), "texts");
  while (!cursor.done()) work(base::as_text(cursor.take(cursor.read<uint32_t>("a length"), "a text")));
}

void tokenize(const std::string& model, bool special) {
  const text::Tokenizer tokenizer(io::read_vocabulary(model, {}));
  std::string out;
  for_each_text([&](std::string_view text) {
    try {
      int64_t dropped = 0;
      const auto ids = tokenizer.encode(text, {.add_special = special, .parse_special = special, .dropped = &dropped});
      put(out, static_cast<int32_t>(ids.size()));
      for (const int32_t id : ids) put(out, id);
      put(out, tokenizer.decode(ids));
    } catch (const base::Error& e) {
      put(out, -1);
      put(out, e.what());
    }
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void cut(const std::vector<io::PreTokenizer>& steps) {
  const text::WordSplitter splitter(steps, "pattern");
  std::string out;
  for_each_text([&](std::string_view text) {
    std::vector<std::unique_ptr<std::string>> storage;
    const auto words = splitter.split(text, true, storage);
    put(out, static_cast<int32_t>(words.size()));
    for (const std::string_view word : words) put(out, word);
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void normalize(bool composed) {
  std::string out;
  for_each_text([&](std::string_view text) {
    put(out, 1);
    put(out, composed ? text::to_nfc(text) : text::to_nfd(text));
  });
  std::fwrite(out.data(), 1, out.size(), stdout);
}

void measure(const std::string& model) {
  const text::Tokenizer tokenizer(io::read_vocabulary(model, {}));
  double seconds = 0;
  size_t tokens = 0;
  for_each_text([&](std::string_view text) {
    const std::clock_t start = std::clock();  // of this process: others may be at work
    tokens += tokenizer.encode(text).size();
    seconds += static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  });
  std::printf("%.6f %zu\n", seconds, tokens);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string first = argc > 1 ? argv[1] : "";
  try {
    if (first == "--words") {
      cut(io::find_pretokenizer(argv[2])->steps());
    } else if (first == "--split") {
      io::PreTokenizer step;
      step.pattern = argv[2];
      cut({step});
    } else if (first == "--form") {
      normalize(argv[2][0] == 'C');
    } else if (first == "--speed") {
      measure(argv[2]);
    } else if (first == "--patterns") {
      for (const auto& row : io::named_pretokenizers()) {
        std::printf("%s\n", std::string(row.name).c_str());
        for (const auto& step : row.steps())
          if (step.kind == io::PreTokenizer::Kind::kSplit) {
            for (const char c : step.pattern)
              std::fputs(c == '\n' ? "\\n" : c == '\r' ? "\\r" : std::string(1, c).c_str(), stdout);
            std::puts("");
          }
        std::puts("");
      }
    } else if (first == "--gguf") {
      io::gguf::Metadata metadata;
      metadata.set("general.architecture", std::string("llama"));
      io::write_gguf_vocabulary(io::read_vocabulary(argv[2], {}), metadata);
      base::AtomicFile file(argv[3], true);
      io::gguf::Writer(file, metadata, {});
      file.commit();
    } else {
      tokenize(first, argc > 2);
    }
  } catch (const base::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_status();
  }
}
