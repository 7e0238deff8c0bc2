// Tables of numbers, one sample a row: CSV and TSV.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/checked.h"
#include "base/error.h"
#include "base/file.h"
#include "data/source.h"
#include "io/csv/csv.h"

namespace nibble::data {
namespace {

using tensor::Tensor;

std::string_view trimmed(std::string_view text) {
  while (text.ends_with(' ')) text.remove_suffix(1);
  while (text.starts_with(' ')) text.remove_prefix(1);
  return text;
}

std::optional<float> number_in(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
  const auto narrow = static_cast<float>(value);
  if (text.empty() || status != std::errc{} || end != text.data() + text.size() || !std::isfinite(narrow))
    return std::nullopt;
  return narrow;
}

bool is_label_name(std::string_view name) { return name == "labels" || name == "label" || name == "y"; }

class TableSource final : public Source {
 public:
  TableSource(const std::filesystem::path& path, std::span<const Input> inputs, const std::string& label_column,
              const base::Limits& limits)
      : place_(path.string()), wanted_(label_column) {
    if (inputs.size() > 1)
      base::fail_unsupported(place_, "is one table, the network has " + std::to_string(inputs.size()) + " inputs",
                             "give an .npz with an array of each input's name");
    const auto file = base::MappedFile::open(path);
    const std::string_view text = base::as_text(file->bytes());
    io::read_csv(text, io::separator_of(text), place_, limits,
                 [&](int64_t line, const std::vector<std::string>& fields) { take(line, fields); });
    if (rows_ == 0) base::fail_malformed(place_, "holds no row of numbers");
    shape_of_input(inputs[0]);
  }

  int64_t size() const override { return rows_; }
  bool holds_images() const override { return false; }
  tensor::Shape array_shape() const override { return shape_; }
  std::string what() const override {
    return std::to_string(rows_) + " rows of " + std::to_string(columns_) + " numbers of " + place_ +
           (names_.empty() ? " (no header)" : " (with a header)");
  }
  std::string place(int64_t index) const override { return place_ + ": row " + std::to_string(index + 1); }
  std::vector<std::string> notes() const override { return notes_; }
  std::vector<std::string> label_words() const override { return words_; }
  std::string label_words_origin() const override { return "labels from column " + label_name_; }
  Reading read(int64_t index, io::Orientation) const override {
    const auto columns = static_cast<size_t>(columns_);
    return std::vector<Tensor>{
        Tensor::of<float>(shape_, std::span(values_).subspan(static_cast<size_t>(index) * columns, columns))};
  }

 private:
  /// The first row: a header where a field that is no label is no number; then the label's column.
  bool begin(const std::vector<std::string>& fields) {
    std::optional<size_t> number;
    int64_t parsed = 0;
    const auto [end, status] = std::from_chars(wanted_.data(), wanted_.data() + wanted_.size(), parsed);
    const bool by_number = !wanted_.empty() && status == std::errc{} && end == wanted_.data() + wanted_.size();
    const bool by_name = !wanted_.empty() && !by_number;
    if (by_number) {
      if (parsed < 1 || parsed > static_cast<int64_t>(fields.size()))
        base::fail_usage("--labels column:" + wanted_, place_ + " has columns 1 to " + std::to_string(fields.size()));
      number = static_cast<size_t>(parsed - 1);
    }
    bool header = by_name;
    for (size_t i = 0; i < fields.size(); ++i) header = header || (i != number && !number_in(fields[i]));
    if (header) {
      names_ = fields;
      for (size_t i = 0; i < fields.size() && !by_number; ++i)
        if (by_name ? trimmed(fields[i]) == wanted_ : wanted_.empty() && is_label_name(trimmed(fields[i]))) {
          if (number) base::fail_malformed(place_, "two columns are called " + base::in_quotes(fields[i]));
          number = i;
        }
      if (by_name && !number)
        base::fail_usage("--labels column:" + wanted_, place_ + " has no column of that name",
                         "its first line names the columns; --labels column:3 is the third");
    }
    label_ = number;
    if (label_) label_name_ = header ? base::in_quotes(trimmed(fields[*label_])) : std::to_string(*label_ + 1);
    columns_ = static_cast<int64_t>(fields.size()) - (label_ ? 1 : 0);
    if (columns_ == 0) base::fail_malformed(place_, "has no column of numbers");
    return header;
  }

  void take(int64_t line, const std::vector<std::string>& fields) {
    if (!begun_) {
      begun_ = true;
      if (begin(fields)) return;
    }
    for (size_t i = 0; i < fields.size(); ++i) {
      if (label_ && i == *label_) {
        words_.emplace_back(trimmed(fields[i]));
        continue;
      }
      const auto value = number_in(fields[i]);
      if (!value)
        base::fail_malformed(place_ + ": line " + std::to_string(line),
                             base::in_quotes(fields[i]) + " in column " +
                                 (names_.empty() ? std::to_string(i + 1) : base::in_quotes(names_[i])) +
                                 " is no finite number",
                             label_ ? "" : "if it is the label: --labels column:" + std::to_string(i + 1));
      values_.push_back(*value);
    }
    ++rows_;
  }

  /// A row has the input's shape where that is known and holds as many numbers; else it is a list.
  void shape_of_input(const Input& input) {
    shape_ = {columns_};
    if (!input.shape || input.shape->size() == 1) return;
    int64_t elements = 1;
    for (const int64_t d : *input.shape) {
      if (d == tensor::kUnknown) return;
      const auto product = base::checked_mul(elements, d);
      if (!product) return;
      elements = *product;
    }
    if (elements != columns_) return;
    shape_ = *input.shape;
    notes_.push_back("rows of " + std::to_string(columns_) + " numbers are read as " + tensor::to_string(shape_) +
                     ", the last dimension running fastest");
  }

  std::string place_, wanted_, label_name_;
  bool begun_ = false;
  std::vector<std::string> names_, words_, notes_;
  std::optional<size_t> label_;
  int64_t columns_ = 0, rows_ = 0;
  tensor::Shape shape_;
  std::vector<float> values_;
};

}  // namespace

std::unique_ptr<Source> open_table(const std::filesystem::path& path, std::span<const Input> inputs,
                                   const std::string& label_column, const base::Limits& limits) {
  return std::make_unique<TableSource>(path, inputs, label_column, limits);
}

}  // namespace nibble::data
