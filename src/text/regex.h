#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace nibble::text {

/// A stretch of a text, in bytes.
struct Span {
  size_t begin = 0, end = 0;
  bool operator==(const Span&) const = default;
};

/// A regular expression over UTF-8, in the syntax that tokenizer files use (Oniguruma's, of which they need little).
/// Copies share the compiled program; one may be searched from several threads.
class Regex {
 public:
  /// Throws Error(kUnsupported) naming `place` for a pattern that does not compile, or has a part that means another
  /// thing here than there (nested classes, \h, \S in a class, back references ...).
  Regex(std::string_view pattern, const std::string& place);

  /// Searches through one text after the other, for one thread at a time.
  class Search {
   public:
    explicit Search(const Regex& regex);
    ~Search();
    Search(const Search&) = delete;
    Search& operator=(const Search&) = delete;
    /// Begins a text, which must be valid UTF-8 and stay where it is.
    void start(std::string_view text);
    /// The next match behind the last one, std::nullopt where there is none. Empty matches are left out. Throws
    /// Error(kLimit) when the pattern needs more steps or memory than a tokenizer's should.
    std::optional<Span> next();

   private:
    struct State;
    std::unique_ptr<State> state_;
  };

 private:
  struct Program;
  std::shared_ptr<const Program> program_;
};

/// The pattern as pcre2 understands it; where the two syntaxes differ in meaning, throws as the constructor does.
std::string pcre2_pattern(std::string_view pattern, const std::string& place);

}  // namespace nibble::text
