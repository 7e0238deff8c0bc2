#include "text/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <new>

#include "base/error.h"

namespace nibble::text {
namespace {

constexpr uint32_t kMostSteps = 50'000'000;                      // of one match
constexpr size_t kStackStart = 32 << 10, kMostStack = 16 << 20;  // bytes, of compiled programs

std::string message_of(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof text);
  return base::printable(reinterpret_cast<const char*>(text), 256);
}

}  // namespace

struct Regex::Program {
  pcre2_code* code = nullptr;
  std::string place, pattern;
  Program() = default;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() { pcre2_code_free(code); }
};

Regex::Regex(std::string_view pattern, const std::string& place) {
  auto program = std::make_shared<Program>();
  program->place = place;
  program->pattern = pattern;
  const std::string translated = pcre2_pattern(pattern, place);
  int error = 0;
  PCRE2_SIZE at = 0;
  // Oniguruma's ^ and $ hold at every line.
  program->code =
      pcre2_compile(reinterpret_cast<PCRE2_SPTR>(translated.data()), translated.size(),
                    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error, &at, nullptr);
  if (!program->code)
    base::fail_unsupported(place, "has the regular expression " + base::in_quotes(pattern) +
                                      ", which does not compile: " + message_of(error));
  // Where the machine allows no generated code, the interpreter gives the same matches.
  pcre2_jit_compile(program->code, PCRE2_JIT_COMPLETE);
  program_ = std::move(program);
}

struct Regex::Search::State {
  std::shared_ptr<const Program> program;
  std::string_view text;
  size_t at = 0;
  pcre2_match_data* match = nullptr;
  pcre2_match_context* context = nullptr;
  pcre2_jit_stack* stack = nullptr;
  ~State() {
    pcre2_match_data_free(match);
    pcre2_match_context_free(context);
    pcre2_jit_stack_free(stack);
  }
};

Regex::Search::Search(const Regex& regex) : state_(std::make_unique<State>()) {
  state_->program = regex.program_;
  state_->match = pcre2_match_data_create(1, nullptr);
  state_->context = pcre2_match_context_create(nullptr);
  state_->stack = pcre2_jit_stack_create(kStackStart, kMostStack, nullptr);
  if (!state_->match || !state_->context || !state_->stack) throw std::bad_alloc();
  pcre2_set_match_limit(state_->context, kMostSteps);
  pcre2_jit_stack_assign(state_->context, nullptr, state_->stack);
}

Regex::Search::~Search() = default;

void Regex::Search::start(std::string_view text) {
  state_->text = text;
  state_->at = 0;
}

std::optional<Span> Regex::Search::next() {
  State& s = *state_;
  const int found = pcre2_match(s.program->code, reinterpret_cast<PCRE2_SPTR>(s.text.data()), s.text.size(), s.at,
                                PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, s.match, s.context);
  if (found == PCRE2_ERROR_NOMATCH) return std::nullopt;
  if (found < 0)
    base::fail_limit(s.program->place, "the regular expression " + base::in_quotes(s.program->pattern) +
                                           " needs too much to match this text: " + message_of(found));
  const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(s.match);
  const Span span{offsets[0], offsets[1]};
  s.at = span.end;
  return span;
}

}  // namespace nibble::text
