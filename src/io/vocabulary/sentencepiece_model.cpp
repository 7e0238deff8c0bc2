// tokenizer.model: the protobuf message ModelProto of SentencePiece (sentencepiece_model.proto), read field by field.
//
//   ModelProto        1 pieces*: {1 piece: string, 2 score: float, 3 type: enum}  2 trainer_spec  3 normalizer_spec
//                     5 denormalizer_spec
//   TrainerSpec       3 model_type (1 unigram, 2 BPE, 3 word, 4 char)  24 treat_whitespace_as_suffix
//                     40 unk_id  41 bos_id  42 eos_id  43 pad_id
//   NormalizerSpec    1 name  2 precompiled_charsmap  3 add_dummy_prefix  4 remove_extra_whitespaces  5
//   escape_whitespaces
#include "base/bytes.h"
#include "base/error.h"
#include "io/vocabulary/sentencepiece_steps.h"
#include "io/vocabulary/vocabulary.h"

namespace nibble::io {
namespace {

/// One field of a message: its number, and its value as an integer (varint, fixed) or as bytes.
struct Field {
  uint32_t number = 0;
  bool is_bytes = false;
  uint64_t integer = 0;
  base::Bytes bytes;
};

uint64_t read_varint(base::Cursor& cursor) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const auto byte = cursor.read<uint8_t>("a varint");
    value |= static_cast<uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  base::fail_malformed(cursor.place(),
                       "a varint before byte " + std::to_string(cursor.offset()) + " has more than 10 bytes");
}

Field read_field(base::Cursor& cursor) {
  const uint64_t tag = read_varint(cursor);
  Field field;
  field.number = static_cast<uint32_t>(tag >> 3);
  if (tag >> 3 == 0 || tag >> 32 != 0)
    base::fail_malformed(cursor.place(),
                         "a field before byte " + std::to_string(cursor.offset()) + " has an impossible number");
  switch (tag & 7) {
    case 0:
      field.integer = read_varint(cursor);
      break;
    case 1:
      field.integer = cursor.read<uint64_t>("a field");
      break;
    case 2:
      field.is_bytes = true;
      field.bytes = cursor.take(read_varint(cursor), "a field");
      break;
    case 5:
      field.integer = cursor.read<uint32_t>("a field");
      break;
    default:
      base::fail_malformed(cursor.place(), "a field before byte " + std::to_string(cursor.offset()) +
                                               " has the wire type " + std::to_string(tag & 7));
  }
  return field;
}

/// Calls `visit` with each field of a message.
template <typename Visit>
void for_each_field(base::Bytes bytes, const std::string& place, const Visit& visit) {
  base::Cursor cursor(bytes, place);
  while (!cursor.done()) visit(read_field(cursor));
}

void expect_kind(const Field& field, bool bytes, const std::string& place) {
  if (field.is_bytes != bytes)
    base::fail_malformed(place, "field " + std::to_string(field.number) + " is " + (bytes ? "a number" : "bytes") +
                                    ", the other was expected");
}

struct Specs {
  int64_t model_type = 1, unk = 0, bos = 1, eos = 2, pad = -1;
  bool space_behind = false, prefix_space = true, collapse_spaces = true, escape_spaces = true, has_map = false;
  std::string normalizer;
};

void read_piece(base::Bytes bytes, Vocabulary& v) {
  std::string piece;
  float score = 0;
  uint64_t type = 1;
  for_each_field(bytes, v.place, [&](const Field& field) {
    if (field.number > 3) return;
    expect_kind(field, field.number == 1, v.place);
    if (field.number == 1) piece = base::as_text(field.bytes);
    if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.integer));
    if (field.number == 3) type = field.integer;
  });
  if (type < 1 || type > 6)
    base::fail_malformed(v.place,
                         "gives piece " + std::to_string(v.size()) + " the unknown type " + std::to_string(type));
  v.tokens.push_back(std::move(piece));
  v.scores.push_back(score);
  v.types.push_back(static_cast<TokenType>(type));
}

void read_trainer(base::Bytes bytes, const std::string& place, Specs& specs) {
  for_each_field(bytes, place, [&](const Field& field) {
    const auto set = [&](auto& value) {
      expect_kind(field, false, place);
      value = static_cast<std::decay_t<decltype(value)>>(field.integer);
    };
    switch (field.number) {
      case 3:
        set(specs.model_type);
        break;
      case 24:
        set(specs.space_behind);
        break;
      case 40:
        set(specs.unk);
        break;
      case 41:
        set(specs.bos);
        break;
      case 42:
        set(specs.eos);
        break;
      case 43:
        set(specs.pad);
        break;
      default:
        break;
    }
  });
}

void read_normalizer(base::Bytes bytes, const std::string& place, Specs& specs) {
  for_each_field(bytes, place, [&](const Field& field) {
    if (field.number > 5) return;
    expect_kind(field, field.number <= 2, place);
    switch (field.number) {
      case 1:
        specs.normalizer = base::as_text(field.bytes);
        break;
      case 2:
        specs.has_map = !field.bytes.empty();
        break;
      case 3:
        specs.prefix_space = field.integer != 0;
        break;
      case 4:
        specs.collapse_spaces = field.integer != 0;
        break;
      case 5:
        specs.escape_spaces = field.integer != 0;
        break;
      default:
        break;
    }
  });
}

void refuse_unknown(const Specs& specs, const std::string& place) {
  constexpr std::string_view kTypes[] = {"", "Unigram", "BPE", "word", "char"};
  if (specs.model_type != 2)
    base::fail_unsupported(place,
                           "is a SentencePiece model of type " +
                               (specs.model_type >= 1 && specs.model_type <= 4 ? std::string(kTypes[specs.model_type])
                                                                               : std::to_string(specs.model_type)) +
                               "; nibble knows BPE");
  if (specs.has_map)
    base::fail_unsupported(
        place, "normalizes text by the map " + base::in_quotes(specs.normalizer) + ", which nibble does not know");
  if (specs.space_behind) base::fail_unsupported(place, "writes spaces behind words (treat_whitespace_as_suffix)");
  if (!specs.escape_spaces) base::fail_unsupported(place, "does not escape spaces (escape_whitespaces)");
}

}  // namespace

Vocabulary read_tokenizer_model(std::string_view bytes, const std::string& place, const base::Limits& limits) {
  Vocabulary v;
  v.place = place;
  v.kind = VocabularyKind::kSentencePiece;
  Specs specs, back;
  for_each_field(base::as_bytes(bytes), place, [&](const Field& field) {
    if (field.number == 1 || field.number == 2 || field.number == 3 || field.number == 5)
      expect_kind(field, true, place);
    if (field.number == 1) read_piece(field.bytes, v);
    if (field.number == 2) read_trainer(field.bytes, place, specs);
    if (field.number == 3) read_normalizer(field.bytes, place, specs);
    if (field.number == 5) read_normalizer(field.bytes, place, back);
  });
  refuse_unknown(specs, place);
  if (back.has_map) base::fail_unsupported(place, "changes decoded text by a map, which nibble does not know");
  check_vocabulary(v, limits);
  token_ids(v);
  const auto special = [&](int64_t id, std::optional<int32_t>& out, const char* what) {
    // Negative means none. Trainers write ids that no piece has where the token was left out.
    if (id < 0 || id > INT32_MAX) return;
    if (id >= static_cast<int64_t>(v.size()))
      base::fail_malformed(place, std::string("its ") + what + " is token " + std::to_string(id) + ", but there are " +
                                      std::to_string(v.size()));
    const TokenType type = v.types[static_cast<size_t>(id)];
    if (type == TokenType::kControl || type == TokenType::kUnknown) out = static_cast<int32_t>(id);
  };
  special(specs.unk, v.special.unk, "unknown token");
  special(specs.bos, v.special.bos, "BOS token");
  special(specs.eos, v.special.eos, "EOS token");
  special(specs.pad, v.special.pad, "padding token");
  for (size_t i = 0; i < v.size(); ++i)
    if (v.types[i] == TokenType::kControl || v.types[i] == TokenType::kUnknown)
      v.added.push_back({.id = static_cast<int32_t>(i), .special = true});
  set_sentencepiece_steps(v, specs.prefix_space, specs.collapse_spaces);
  find_end_ids(v, {});
  return v;
}

}  // namespace nibble::io
