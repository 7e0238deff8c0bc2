#include "io/onnx/wire.h"

#include <array>
#include <cstring>
#include <span>

#include "base/error.h"

namespace nibble::io::onnx {
namespace {

/// Messages of onnx_schema.proto, and kEmpty for those of which only the presence matters.
// clang-format off
enum class Message : uint8_t {
  kModel, kGraph, kNode, kAttribute, kTensor, kValueInfo, kType, kTypeTensor, kShape, kDimension, kFunction, kPair,
  kOperatorSet, kEmpty,
};
// clang-format on

/// What happens to a field: kValue is copied as it is, kMessage is descended into, kRaw becomes the number of a span,
/// kDrop is a field of the public schema that nibble does not need (documentation, annotations).
enum class Keep : uint8_t { kValue, kMessage, kRaw, kDrop };

struct Field {
  uint32_t number;
  Keep keep;
  Message child = Message::kEmpty;
};

using enum Keep;

// clang-format off
constexpr Field kModelFields[] = {{1, kValue}, {2, kValue}, {3, kValue}, {4, kDrop}, {5, kDrop}, {6, kDrop},
                                  {7, kMessage, Message::kGraph}, {8, kMessage, Message::kOperatorSet},
                                  {14, kMessage, Message::kPair}, {20, kDrop}, {25, kMessage, Message::kFunction},
                                  {26, kDrop}};
constexpr Field kGraphFields[] = {{1, kMessage, Message::kNode}, {2, kValue}, {5, kMessage, Message::kTensor},
                                  {10, kDrop}, {11, kMessage, Message::kValueInfo}, {12, kMessage, Message::kValueInfo},
                                  {13, kMessage, Message::kValueInfo}, {14, kDrop}, {15, kMessage, Message::kEmpty},
                                  {16, kDrop}};
constexpr Field kNodeFields[] = {{1, kValue}, {2, kValue}, {3, kValue}, {4, kValue}, {5, kMessage, Message::kAttribute},
                                 {6, kDrop}, {7, kValue}, {8, kValue}, {9, kDrop}, {10, kDrop}};
// 10, 11, 14, 15, 22 and 23 hold what no operator of ours takes; the attribute's `type` names them.
constexpr Field kAttributeFields[] = {{1, kValue}, {2, kValue}, {3, kValue}, {4, kValue}, {5, kMessage, Message::kTensor},
                                      {6, kMessage, Message::kGraph}, {7, kValue}, {8, kValue}, {9, kValue}, {10, kDrop},
                                      {11, kDrop}, {13, kDrop}, {14, kDrop}, {15, kDrop}, {20, kValue}, {21, kValue},
                                      {22, kDrop}, {23, kDrop}};
constexpr Field kTensorFields[] = {{1, kValue}, {2, kValue}, {3, kMessage, Message::kEmpty}, {4, kValue}, {5, kValue},
                                   {6, kDrop}, {7, kValue}, {8, kValue}, {9, kRaw}, {10, kValue}, {11, kValue},
                                   {12, kDrop}, {13, kMessage, Message::kPair}, {14, kValue}, {16, kDrop}};
constexpr Field kValueInfoFields[] = {{1, kValue}, {2, kMessage, Message::kType}, {3, kDrop}, {4, kDrop}};
constexpr Field kTypeFields[] = {{1, kMessage, Message::kTypeTensor}, {4, kMessage, Message::kEmpty},
                                 {5, kMessage, Message::kEmpty}, {6, kDrop}, {7, kMessage, Message::kEmpty},
                                 {8, kMessage, Message::kEmpty}, {9, kMessage, Message::kEmpty}};
constexpr Field kTypeTensorFields[] = {{1, kValue}, {2, kMessage, Message::kShape}};
constexpr Field kShapeFields[] = {{1, kMessage, Message::kDimension}};
constexpr Field kDimensionFields[] = {{1, kValue}, {2, kValue}, {3, kDrop}};
constexpr Field kFunctionFields[] = {{1, kValue}, {4, kValue}, {5, kValue}, {6, kValue}, {7, kMessage, Message::kNode},
                                     {8, kDrop}, {9, kMessage, Message::kOperatorSet}, {10, kValue},
                                     {11, kMessage, Message::kAttribute}, {12, kDrop}, {13, kValue}, {14, kDrop}};
constexpr Field kPairFields[] = {{1, kValue}, {2, kValue}};
constexpr Field kOperatorSetFields[] = {{1, kValue}, {2, kValue}};

std::span<const Field> fields_of(Message message) {
  switch (message) {
    case Message::kModel: return kModelFields;
    case Message::kGraph: return kGraphFields;
    case Message::kNode: return kNodeFields;
    case Message::kAttribute: return kAttributeFields;
    case Message::kTensor: return kTensorFields;
    case Message::kValueInfo: return kValueInfoFields;
    case Message::kType: return kTypeFields;
    case Message::kTypeTensor: return kTypeTensorFields;
    case Message::kShape: return kShapeFields;
    case Message::kDimension: return kDimensionFields;
    case Message::kFunction: return kFunctionFields;
    case Message::kPair: return kPairFields;
    case Message::kOperatorSet: return kOperatorSetFields;
    case Message::kEmpty: return {};
  }
  return {};
}
// clang-format on

enum WireType : uint32_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kStartGroup = 3,
  kEndGroup = 4,
  kFixed32 = 5
};

constexpr size_t kLengthBytes = 5;  // a length of ours is a varint padded to this, so that it can be filled in later

class Pass {
 public:
  Pass(base::Bytes bytes, const base::Limits& limits, const std::string& place)
      : begin_(bytes.data()), limits_(limits), place_(place) {}

  Stripped take() { return std::move(result_); }

  void message(base::Bytes bytes, Message type, int64_t depth) {
    if (depth > limits_.proto_depth)
      base::check_limit(depth, limits_.proto_depth, "proto-depth", place_, "the nesting of messages");
    const std::span<const Field> fields = fields_of(type);
    while (!bytes.empty()) {
      const base::Bytes whole = bytes;
      const uint64_t tag = varint(bytes);
      if (tag > UINT32_MAX || tag >> 3 == 0) fail(whole, "a field number is out of range");
      const auto number = static_cast<uint32_t>(tag >> 3);
      const auto wire = static_cast<uint32_t>(tag & 7);
      const base::Bytes payload = skip_value(bytes, wire, whole);
      const Field* field = nullptr;
      for (const Field& f : fields)
        if (f.number == number) field = &f;
      if (field && field->keep != kValue && field->keep != kDrop && wire != kLengthDelimited) field = nullptr;
      if (!field) {
        if (type != Message::kEmpty) ++result_.unknown_fields;
        continue;
      }
      switch (field->keep) {
        case kDrop:
          break;
        case kValue:
          if (wire == kLengthDelimited && type != Message::kTensor && type != Message::kAttribute)
            base::check_limit(static_cast<int64_t>(payload.size()), limits_.string_bytes, "string-bytes", place_,
                              "the length of a string");
          count(values_, limits_.nodes, 64, "nodes", "the number of values");
          append(whole.first(whole.size() - bytes.size()));
          break;
        case kRaw: {
          const uint64_t index = result_.raw.size();
          result_.raw.push_back(payload);
          put_tag(number);
          put_length(sizeof index);
          result_.message.append(reinterpret_cast<const char*>(&index), sizeof index);
          break;
        }
        case kMessage: {
          count_message(field->child);
          if (payload.empty() && (field->child == Message::kNode || field->child == Message::kAttribute))
            fail(whole, "a node or an attribute is empty");
          put_tag(number);
          const size_t at = result_.message.size();
          put_length(0);
          message(payload, field->child, depth + 1);
          fill_length(at, result_.message.size() - at - kLengthBytes);
          break;
        }
      }
    }
  }

 private:
  [[noreturn]] void fail(base::Bytes at, const std::string& sentence) const {
    base::fail_malformed(place_, "at byte " + std::to_string(at.data() - begin_) + ", " + sentence,
                         "the file is truncated, damaged or no ONNX file");
  }

  uint64_t varint(base::Bytes& bytes) const {
    uint64_t value = 0;
    for (size_t i = 0; i < 10; ++i) {
      if (i == bytes.size()) fail(bytes, "a number is cut off");
      const auto byte = static_cast<uint8_t>(bytes[i]);
      if (i == 9 && byte > 1) fail(bytes, "a number has more than 64 bits");
      value |= uint64_t{byte & 0x7Fu} << (7 * i);
      if (byte < 0x80) {
        bytes = bytes.subspan(i + 1);
        return value;
      }
    }
    fail(bytes, "a number has more than 10 bytes");
  }

  /// Moves `bytes` past one value; returns what a length-delimited value holds.
  base::Bytes skip_value(base::Bytes& bytes, uint32_t wire, base::Bytes whole) const {
    uint64_t size = 0;
    switch (wire) {
      case kVarint:
        varint(bytes);
        return {};
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kLengthDelimited:
        size = varint(bytes);
        break;
      default:
        fail(whole, "there is a group or an unknown wire type");
    }
    if (size > bytes.size())
      fail(whole,
           "a field of " + std::to_string(size) + " bytes begins where " + std::to_string(bytes.size()) + " remain");
    const base::Bytes payload = bytes.first(size);
    bytes = bytes.subspan(size);
    return payload;
  }

  void count_message(Message type) {
    // A message of two bytes becomes an object of some hundred bytes; the caps bound what a small file can claim.
    if (type == Message::kNode) count(nodes_, limits_.nodes, 1, "nodes", "the number of nodes");
    if (type == Message::kTensor) count(tensors_, limits_.tensors, 1, "tensors", "the number of tensors");
    if (type == Message::kValueInfo) count(infos_, limits_.tensors, 4, "tensors", "the number of described values");
    count(messages_, limits_.nodes, 16, "nodes", "the number of messages");
  }
  void count(int64_t& counter, int64_t limit, int64_t per_unit, const char* flag, const char* what) const {
    if (++counter / per_unit > limit) base::check_limit(counter / per_unit, limit, flag, place_, what);
  }

  void append(base::Bytes bytes) { result_.message.append(base::as_text(bytes)); }
  void put_tag(uint32_t number) {
    uint32_t tag = number << 3 | kLengthDelimited;
    for (; tag >= 0x80; tag >>= 7) result_.message.push_back(static_cast<char>(tag | 0x80));
    result_.message.push_back(static_cast<char>(tag));
  }
  void put_length(size_t size) {
    result_.message.append(kLengthBytes, '\0');
    fill_length(result_.message.size() - kLengthBytes, size);
  }
  void fill_length(size_t at, size_t size) {
    for (size_t i = 0; i < kLengthBytes; ++i, size >>= 7)
      result_.message[at + i] = static_cast<char>((size & 0x7F) | (i + 1 < kLengthBytes ? 0x80 : 0));
  }

  const std::byte* begin_;
  const base::Limits& limits_;
  const std::string& place_;
  Stripped result_;
  int64_t nodes_ = 0, tensors_ = 0, infos_ = 0, messages_ = 0, values_ = 0;
};

}  // namespace

Stripped strip_raw_data(base::Bytes bytes, WireRoot root, const base::Limits& limits, const std::string& place) {
  Pass pass(bytes, limits, place);
  pass.message(bytes, root == WireRoot::kModel ? Message::kModel : Message::kTensor, 1);
  Stripped result = pass.take();
  // The copy holds no weights; one of this size is typed data, which protobuf cannot hold either.
  if (result.message.size() > size_t{INT32_MAX})
    base::fail_limit(place, "has more than 2 GiB besides its raw tensor data, a protobuf message cannot be that large",
                     "store its tensors as raw or external data");
  return result;
}

uint64_t raw_index(const std::string& raw_data) {
  uint64_t index = 0;
  NIBBLE_INVARIANT(raw_data.size() == sizeof index);
  std::memcpy(&index, raw_data.data(), sizeof index);
  return index;
}

}  // namespace nibble::io::onnx
