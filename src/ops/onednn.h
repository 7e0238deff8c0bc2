#pragma once
#include <dnnl.hpp>

namespace nibble::ops {

/// The CPU engine, made on first use.
const dnnl::engine& onednn_engine();
/// The calling thread's own stream.
dnnl::stream& onednn_stream();

/// While one lives, oneDNN calls of this thread start no threads: our pool cuts the work.
class SingleThreadedOnednn {
 public:
  SingleThreadedOnednn();
  ~SingleThreadedOnednn();
  SingleThreadedOnednn(const SingleThreadedOnednn&) = delete;
  SingleThreadedOnednn& operator=(const SingleThreadedOnednn&) = delete;

 private:
  int before_;
};

}  // namespace nibble::ops
