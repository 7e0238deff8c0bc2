#include "io/npy/header.h"

#include <charconv>
#include <optional>

#include "base/error.h"

namespace nibble::io::npy {
namespace {

using tensor::DType;

struct DescrRow {
  std::string_view descr;
  DType dtype;
};
constexpr DescrRow kDescrs[] = {
    {"<f4", DType::f32}, {"<f8", DType::f64}, {"<f2", DType::f16}, {"|i1", DType::i8},
    {"|u1", DType::u8},  {"<i2", DType::i16}, {"<u2", DType::u16}, {"<i4", DType::i32},
    {"<u4", DType::u32}, {"<i8", DType::i64}, {"<u8", DType::u64}, {"|b1", DType::boolean},
};

/// The few Python literals that a header may hold.
class Literals {
 public:
  Literals(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  void expect(char c) {
    skip_blanks();
    if (!text_.starts_with(c)) fail(std::string("'") + c + "' is missing");
    text_.remove_prefix(1);
  }
  bool accept(char c) {
    skip_blanks();
    if (!text_.starts_with(c)) return false;
    text_.remove_prefix(1);
    return true;
  }
  std::string_view string() {
    skip_blanks();
    if (text_.empty() || (text_[0] != '\'' && text_[0] != '"')) fail("a quoted word is missing");
    const size_t end = text_.find(text_[0], 1);
    if (end == std::string_view::npos) fail("a quote is not closed");
    const std::string_view word = text_.substr(1, end - 1);
    text_.remove_prefix(end + 1);
    return word;
  }
  bool boolean() {
    skip_blanks();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.starts_with(word)) continue;
      text_.remove_prefix(word.size());
      return value;
    }
    fail("True or False is missing");
  }
  int64_t integer() {
    skip_blanks();
    int64_t value = 0;
    const auto [end, status] = std::from_chars(text_.data(), text_.data() + text_.size(), value);
    if (status != std::errc{} || value < 0) fail("a size is no whole number");
    text_.remove_prefix(static_cast<size_t>(end - text_.data()));
    accept('L');  // Python 2 wrote 3L
    return value;
  }
  bool at(char c) {
    skip_blanks();
    return text_.starts_with(c);
  }
  void end() {
    skip_blanks();
    if (!text_.empty()) fail("something follows the closing brace");
  }
  [[noreturn]] void fail(const std::string& what) const {
    base::fail_malformed(place_, "the .npy header is malformed: " + what);
  }

 private:
  void skip_blanks() {
    while (!text_.empty() && (text_[0] == ' ' || text_[0] == '\n' || text_[0] == '\t')) text_.remove_prefix(1);
  }
  std::string_view text_;
  const std::string& place_;
};

DType dtype_of_descr(std::string_view descr, const std::string& place) {
  for (const DescrRow& row : kDescrs)
    if (row.descr == descr) return row.dtype;
  const std::string named = "holds elements of NumPy type " + base::in_quotes(descr);
  if (descr.find('O') != std::string_view::npos)
    base::fail_unsupported(place, "is an array of Python objects (a pickle, which nibble never runs)",
                           "convert it: numpy.save('new.npy', numpy.stack(a.tolist()).astype('float32'))");
  if (descr.starts_with('>'))
    base::fail_unsupported(place, named + ", which is big-endian",
                           "convert it: numpy.save('new.npy', a.astype(a.dtype.newbyteorder('<')))");
  base::fail_unsupported(place, named, "convert it: numpy.save('new.npy', a.astype('float32'))");
}

tensor::Shape parse_shape(Literals& text, const std::string& place, const base::Limits& limits) {
  tensor::Shape shape;
  text.expect('(');
  while (!text.accept(')')) {
    base::check_limit(static_cast<int64_t>(shape.size()) + 1, limits.rank, "rank", place, "its number of dimensions");
    shape.push_back(text.integer());
    if (!text.accept(',') && !text.at(')')) text.fail("sizes are not separated by commas");
  }
  return shape;
}

}  // namespace

Header parse_header(std::string_view header, const std::string& place, const base::Limits& limits) {
  Literals text(header, place);
  std::optional<DType> dtype;
  std::optional<bool> fortran_order;
  std::optional<tensor::Shape> shape;
  text.expect('{');
  while (!text.accept('}')) {
    const std::string_view key = text.string();
    text.expect(':');
    if (key == "descr" && !dtype) {
      if (text.at('['))
        base::fail_unsupported(place, "is a structured array",
                               "convert each field: numpy.save('field.npy', a['field'])");
      dtype = dtype_of_descr(text.string(), place);
    } else if (key == "fortran_order" && !fortran_order) {
      fortran_order = text.boolean();
    } else if (key == "shape" && !shape) {
      shape = parse_shape(text, place, limits);
    } else {
      text.fail("key " + base::in_quotes(key) + " is unknown or comes twice");
    }
    if (!text.accept(',') && !text.at('}')) text.fail("entries are not separated by commas");
  }
  text.end();
  if (!dtype || !fortran_order || !shape) text.fail("descr, fortran_order or shape is missing");
  return {*dtype, *fortran_order, std::move(*shape)};
}

}  // namespace nibble::io::npy
