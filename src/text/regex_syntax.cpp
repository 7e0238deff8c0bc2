// Patterns of tokenizer files, written for Oniguruma or Rust's regex, as pcre2 reads them with UTF and UCP.
//
// pcre2's \s also takes U+180E; the others' is White_Space: U+0009 ... U+000D, U+0085 and the separators \p{Z}. Its \w
// has all numbers and no marks; Oniguruma's is Alphabetic, marks, decimal digits and connectors, and outside classes
// the six other numbers of Latin-1 too. Its \p{Han} also takes characters that several scripts share. All of this was
// compared character by character (tests/interop/tokenizers_test.py). What differs and cannot be rewritten in place is
// refused.
#include "base/error.h"
#include "text/regex.h"

namespace nibble::text {
namespace {

constexpr std::string_view kSpace = "\\t-\\r\\x{85}\\p{Z}";
constexpr std::string_view kWord = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";
constexpr std::string_view kWordAlone = "\\x{B2}\\x{B3}\\x{B9}\\x{BC}-\\x{BE}";  // of \w outside classes

bool is_letter_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

class Translator {
 public:
  Translator(std::string_view pattern, const std::string& place) : pattern_(pattern), place_(place) {}

  std::string run() {
    while (at_ < pattern_.size()) {
      const char c = pattern_[at_];
      if (c == '\\')
        escape();
      else if (in_class_)
        inside_class(c);
      else
        outside_class(c);
    }
    return std::move(out_);
  }

 private:
  [[noreturn]] void refuse(std::string_view what) const {
    base::fail_unsupported(place_, "uses " + std::string(what) + " in the regular expression " +
                                       base::in_quotes(pattern_) + ", which nibble does not know");
  }

  void copy(size_t n) {
    out_ += pattern_.substr(at_, n);
    at_ += n;
  }

  void inside_class(char c) {
    if (c == '[') {
      // POSIX classes and classes in classes mean other characters there than here.
      refuse("a class in a class");
    }
    if (c == '&' && pattern_.substr(at_, 2) == "&&") refuse("an intersection of classes");
    if (c == ']' && !class_is_empty_) in_class_ = false;
    class_is_empty_ = false;
    copy(1);
  }

  void outside_class(char c) {
    if (c == '[') {
      in_class_ = true;
      class_is_empty_ = true;
      copy(pattern_.substr(at_, 2) == "[^" ? 2 : 1);
      return;
    }
    if (c == '(' && pattern_.substr(at_, 2) == "(?") {
      const std::string_view rest = pattern_.substr(at_ + 2);
      const bool known = rest.starts_with(':') || rest.starts_with('=') || rest.starts_with('!') ||
                         rest.starts_with('>') || rest.starts_with("<=") || rest.starts_with("<!") ||
                         rest.starts_with("i:") || rest.starts_with("i)");
      if (!known) refuse("a group " + base::in_quotes(pattern_.substr(at_, 4)));
    }
    if (c == '(' && pattern_.substr(at_, 2) == "(*") refuse("a verb");
    if (c == '}' && pattern_.substr(at_, 2) == "}+") refuse("a possessive repetition");
    if (c == '{' && pattern_.substr(at_, 2) == "{,") refuse("a repetition without its lower bound");
    copy(1);
  }

  void escape() {
    if (at_ + 1 == pattern_.size()) refuse("a backslash at the end");
    const char c = pattern_[at_ + 1];
    const auto replace = [&](std::string_view members, bool negated) {
      if (in_class_ && negated) refuse(std::string("\\") + c + " in a class");
      out_ += in_class_ ? std::string(members) : (negated ? "[^" : "[") + std::string(members) + "]";
      at_ += 2;
    };
    if (c == 's' || c == 'S') {
      replace(kSpace, c == 'S');
    } else if (c == 'w' || c == 'W') {
      replace(in_class_ ? std::string(kWord) : std::string(kWord) + std::string(kWordAlone), c == 'W');
    } else if (c == 'p' || c == 'P') {
      const size_t close = pattern_.find('}', at_);
      if (pattern_.substr(at_ + 2, 1) != "{" || close == std::string_view::npos) refuse("a property without braces");
      const std::string_view name = pattern_.substr(at_ + 3, close - at_ - 3);
      if (name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_&") != std::string_view::npos)
        refuse("the property " + base::in_quotes(name));
      // A category has one letter or two. Other names are scripts, but for these.
      const bool script = name.size() > 2 && name != "Any" && name != "Alphabetic";
      out_ += std::string("\\") + c + "{" + (script ? "sc:" : "") + std::string(name) + "}";
      at_ = close + 1;
    } else if (c == 'x') {
      const bool braces = pattern_.substr(at_ + 2, 1) == "{";
      const size_t close = pattern_.find('}', at_);
      if (braces && close == std::string_view::npos) refuse("\\x without its closing brace");
      // Without braces, two digits are a byte there and a character here: the same below 80.
      if (!braces && (at_ + 2 == pattern_.size() || pattern_[at_ + 2] > '7')) refuse("\\x of a byte");
      copy(braces ? close + 1 - at_ : 2);
    } else if (c == 'd' || c == 'D' || c == 'r' || c == 'n' || c == 't' || c == 'f') {
      copy(2);
    } else if (is_letter_or_digit(c) || static_cast<unsigned char>(c) >= 0x80) {
      refuse(std::string("\\") + base::printable(std::string_view(&c, 1)));
    } else {
      copy(2);
    }
    class_is_empty_ = false;
  }

  std::string_view pattern_;
  const std::string& place_;
  std::string out_;
  size_t at_ = 0;
  bool in_class_ = false, class_is_empty_ = false;
};

}  // namespace

std::string pcre2_pattern(std::string_view pattern, const std::string& place) {
  return Translator(pattern, place).run();
}

}  // namespace nibble::text
