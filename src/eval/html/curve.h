#pragma once
#include <string>

#include "eval/html/page.h"

namespace nibble::eval::html {

/// The lines of a curve as an SVG picture with its key: what moves as lines, what stands as levels across it.
std::string curve(const PageCurve& curve);

}  // namespace nibble::eval::html
