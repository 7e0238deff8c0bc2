#pragma once
#include <string>
#include <string_view>

namespace nibble::eval::html {

/// `text` as HTML shows it, in content and in quoted attributes alike: markup becomes character references; control
/// characters and bytes that are not UTF-8 become U+FFFD.
std::string escaped(std::string_view text);

/// JSON text that can stand in a <script> element: nothing in it ends the element or begins a comment.
std::string script_safe(std::string_view json);

}  // namespace nibble::eval::html
