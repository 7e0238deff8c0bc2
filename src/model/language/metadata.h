#pragma once
#include "io/gguf/metadata.h"
#include "model/language/open.h"

namespace nibble::model {

/// The metadata that a GGUF file of this model needs, without what says how it is quantized: for a model from a GGUF
/// file its own; for a folder the keys that llama.cpp's converter writes (general.*, the sizes, the tokenizer with its
/// chat template). What GGUF cannot say is added to `notes` (a window that llama.cpp does not apply).
///
/// Throws what io::write_gguf_vocabulary throws.
io::gguf::Metadata gguf_metadata(const LanguageModel& model, std::vector<std::string>& notes);

/// "5M", "1.2B": the number of parameters as file names have it.
std::string size_label(int64_t parameters);

}  // namespace nibble::model
