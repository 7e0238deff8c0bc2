#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "arch/architecture.h"
#include "base/limits.h"
#include "io/gguf/metadata.h"
#include "io/json/json.h"
#include "io/vocabulary/vocabulary.h"

namespace nibble::model {

/// A language model as a file or folder has it. Its weights are views of the mapped files.
struct LanguageModel {
  std::filesystem::path path;  ///< the GGUF file (the first part of a split one) or the folder
  std::string name;            ///< general.name, or the folder's name
  arch::Model model;
  io::Vocabulary vocabulary;
  io::gguf::Metadata metadata;               ///< of a GGUF file; empty for a folder
  std::vector<std::filesystem::path> files;  ///< those that hold weights
  int64_t file_bytes = 0;                    ///< of those files
  bool is_folder() const { return model.source == arch::Source::kHf; }
};

/// Whether `path` is a Hugging Face folder or a GGUF file; says nothing of whether it can be opened.
bool is_language_model(const std::filesystem::path& path);

/// Opens a Hugging Face folder or a GGUF file. What was assumed or ignored is added to `notes`.
///
/// Throws Error naming the file: kUnsupported for architectures that arch/architectures.def does not have, and whatever
/// the readers, arch::build and io::read_vocabulary refuse.
LanguageModel open_language_model(const std::filesystem::path& path, const base::Limits& limits,
                                  std::vector<std::string>& notes);

/// Elements and stored bytes of the model's constants.
int64_t parameter_count(const arch::Model& model);
int64_t stored_bytes(const arch::Model& model);

}  // namespace nibble::model
