#pragma once
#include <memory>
#include <string>

#include "base/bytes.h"
#include "io/image/image.h"

namespace nibble::io {

/// The binary form of CIFAR-10 and CIFAR-100 (https://www.cs.toronto.edu/~kriz/cifar.html): records of one label byte
/// (CIFAR-10) or a coarse and a fine one (CIFAR-100), then 1024 red, 1024 green and 1024 blue bytes, row-major 32x32.
class CifarFile {
 public:
  /// Which of the two it is follows from the length. Throws Error(kMalformed) when the length fits neither or a label
  /// is out of range (10; 20 and 100).
  CifarFile(base::Bytes bytes, std::shared_ptr<const void> owner, const std::string& place);

  /// True when the length is a whole number of records; there is no magic to go by.
  static bool fits(size_t file_bytes);

  int64_t size() const { return static_cast<int64_t>(bytes_.size() / record_bytes_); }
  /// 10 or 100.
  int64_t classes() const { return label_bytes_ == 1 ? 10 : 100; }
  /// The class; for CIFAR-100 the fine one.
  int64_t label(int64_t index) const;
  Image image(int64_t index) const;

 private:
  base::Bytes record(int64_t index) const;
  base::Bytes bytes_;
  std::shared_ptr<const void> owner_;
  size_t label_bytes_ = 1, record_bytes_ = 0;
};

}  // namespace nibble::io
