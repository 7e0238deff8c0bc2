// The same as logits.cpp by llama.cpp's own library; scripts/setup compiles it against the library that it builds.
// Usage: llama_logits MODEL.gguf TOKENS OUT WINDOW [f16]   the last word: the cache of keys and values in f16, its
// default.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "llama.h"

int main(int argc, char** argv) {
  if (argc < 5) return 2;
  llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
  llama_backend_init();
  llama_model* model = llama_model_load_from_file(argv[1], llama_model_default_params());
  if (!model) {
    std::fprintf(stderr, "llama.cpp does not load %s\n", argv[1]);
    return 1;
  }
  std::ifstream in(argv[2], std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  std::vector<llama_token> tokens(bytes.size() / sizeof(llama_token));
  std::copy_n(bytes.data(), tokens.size() * sizeof(llama_token), reinterpret_cast<char*>(tokens.data()));
  const size_t window = static_cast<size_t>(std::atoll(argv[4]));
  llama_context_params params = llama_context_default_params();
  params.n_ctx = params.n_batch = params.n_ubatch = static_cast<uint32_t>(window);
  params.n_threads = params.n_threads_batch = 2;
  params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  if (argc <= 5) params.type_k = params.type_v = GGML_TYPE_F32;
  llama_context* context = llama_init_from_model(model, params);
  if (!context) return 1;
  const int vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model));
  std::ofstream out(argv[3], std::ios::binary);
  for (size_t at = 0; at + window <= tokens.size(); at += window) {
    llama_memory_clear(llama_get_memory(context), true);
    llama_batch batch = llama_batch_init(static_cast<int32_t>(window), 0, 1);
    for (size_t i = 0; i < window; ++i) {
      batch.token[i] = tokens[at + i];
      batch.pos[i] = static_cast<llama_pos>(i);
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    batch.n_tokens = static_cast<int32_t>(window);
    if (llama_decode(context, batch) != 0) return 1;
    for (size_t i = 0; i < window; ++i)
      out.write(reinterpret_cast<const char*>(llama_get_logits_ith(context, static_cast<int32_t>(i))),
                static_cast<std::streamsize>(sizeof(float)) * vocabulary);
    llama_batch_free(batch);
  }
  llama_free(context);
  llama_model_free(model);
  return out.good() ? 0 : 1;
}
