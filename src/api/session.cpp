#include "nibble/session.h"

#include "api/boundary.h"
#include "api/network_impl.h"
#include "api/threads.h"
#include "runtime/session.h"

namespace nibble {

struct Session::Impl {
  Impl(const Network& of, int threads) : network(of), pool(checked_threads(threads)), session(of.impl().graph, pool) {}

  Network network;
  base::ThreadPool pool;
  runtime::Session session;
};

Session::Session(const Network& network, int threads)
    : impl_(at_boundary([&] { return std::make_unique<Impl>(network, threads); })) {}
Session::~Session() = default;
Session::Session(Session&&) noexcept = default;
Session& Session::operator=(Session&&) noexcept = default;

std::vector<Array> Session::run(const std::vector<Array>& inputs) {
  return at_boundary([&] {
    std::vector<tensor::Tensor> tensors;
    for (size_t i = 0; i < inputs.size(); ++i) tensors.push_back(to_tensor(inputs[i], "input " + std::to_string(i)));
    std::vector<Array> outputs;
    const auto results = impl_->session.run(tensors);
    for (size_t i = 0; i < results.size(); ++i)
      outputs.push_back(to_array(results[i], "output " + base::in_quotes(impl_->network.outputs()[i].name)));
    return outputs;
  });
}

}  // namespace nibble
