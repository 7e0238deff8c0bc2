// Logits of a language model, for comparisons with other programs.
// Usage: logits MODEL TOKENS OUT f32|q8   TOKENS: i32 numbers, windows of equal length WINDOW; OUT: f32 [tokens,
// vocabulary].
//        The last argument may be a window's length; each window then starts from nothing.
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "generate/language_session.h"
#include "model/language/open.h"

int main(int argc, char** argv) {
  using namespace nibble;
  if (argc < 5) return 2;
  try {
    std::vector<std::string> notes;
    const model::LanguageModel m = model::open_language_model(argv[1], {}, notes);
    base::ThreadPool pool;
    const bool q8 = std::string(argv[4]) == "q8";
    generate::LanguageSession session(m.model, q8 ? codec::Activations::kQ8 : codec::Activations::kFloat, pool, {});
    const auto file = base::MappedFile::open(argv[2]);
    std::vector<int32_t> tokens(file->bytes().size() / 4);
    std::memcpy(tokens.data(), file->bytes().data(), tokens.size() * 4);
    const size_t window = argc > 5 ? static_cast<size_t>(std::atoll(argv[5])) : tokens.size();
    std::ofstream out(argv[3], std::ios::binary);
    for (size_t at = 0; at + window <= tokens.size(); at += window) {
      std::vector<generate::Place> places;
      std::vector<int64_t> rows;
      for (size_t i = 0; i < window; ++i) {
        rows.push_back(static_cast<int64_t>(i));
        places.push_back({tokens[at + i], 0});
      }
      session.forget_all();
      const tensor::Tensor logits = session.run(places, rows);
      out.write(reinterpret_cast<const char*>(logits.bytes().data()),
                static_cast<std::streamsize>(logits.bytes().size()));
    }
    for (const std::string& note : notes) std::fprintf(stderr, "note: %s\n", note.c_str());
    return out.good() ? 0 : 5;
  } catch (const base::Error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return e.exit_status();
  }
}
