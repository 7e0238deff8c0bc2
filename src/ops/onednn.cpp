#include "ops/onednn.h"

#include <omp.h>

namespace nibble::ops {

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& onednn_stream() {
  thread_local dnnl::stream stream(onednn_engine());
  return stream;
}

SingleThreadedOnednn::SingleThreadedOnednn() : before_(omp_get_max_threads()) {
  if (before_ != 1) omp_set_num_threads(1);
}

SingleThreadedOnednn::~SingleThreadedOnednn() {
  if (before_ != 1) omp_set_num_threads(before_);
}

}  // namespace nibble::ops
