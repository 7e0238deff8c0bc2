#pragma once
#include <string>
#include <vector>

#include "io/json/json.h"
#include "io/vocabulary/steps.h"

namespace nibble::io {

/// The members "normalizer", "pre_tokenizer" and "decoder" of a tokenizer.json as steps; `null` gives none. Throws
/// Error(kUnsupported) naming a type, or an option of one, that nibble does not know.
std::vector<Normalizer> read_normalizers(const Json* json, const std::string& place);
std::vector<PreTokenizer> read_pretokenizers(const Json* json, const std::string& place);
std::vector<DecodeStep> read_decoders(const Json* json, const std::string& place);

/// The member "type" of a step, the text of "decoder" and the like for messages.
const std::string& step_type(const Json& json, const char* what, const std::string& place);
/// An option of a step; `otherwise` where it is missing or null.
bool flag_of(const Json& json, const char* key, bool otherwise, const std::string& place);
std::string text_of(const Json& json, const char* key, const std::string& otherwise, const std::string& place);

}  // namespace nibble::io
