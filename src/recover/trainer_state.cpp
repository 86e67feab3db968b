// A training's state on disk: weights, averages, Adam's moments, how far it has come.

#include <torch/serialize.h>

#include <exception>

#include "quboprune/error.h"
#include "quboprune/file.h"
#include "recover/trainer.h"

namespace quboprune {
namespace {

constexpr const char* kFile = "finetune.pt";

std::string not_of_this(const std::filesystem::path& path) {
  return path.string() +
         ": doesn't belong to this network, or is damaged; remove it or name another --work folder";
}

/// Throws what the sink throws, but only once the archive is closed: LibTorch's writer aborts the process
/// when it is left halfway (its destructor writes the rest, and throws).
void write(torch::serialize::OutputArchive& archive, const ByteSink& sink) {
  std::exception_ptr failure;
  archive.save_to([&](const void* data, std::size_t size) {
    try {
      if (!failure) sink({static_cast<const char*>(data), size});
    } catch (...) {
      failure = std::current_exception();
    }
    return size;
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void Trainer::save(const std::filesystem::path& folder, const TrainingProgress& progress) {
  torch::serialize::OutputArchive archive;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    archive.write("tensor" + std::to_string(i), tensors_[i].detach());
    if (average_) archive.write("average" + std::to_string(i), average_->tensors()[i]);
  }
  archive.write("step", at::scalar_tensor(progress.step, at::kLong));
  archive.write("seconds", at::scalar_tensor(progress.seconds, at::kDouble));
  archive.write("problem", c10::IValue(options_.problem));
  torch::serialize::OutputArchive adam;
  optimizer_->save(adam);
  archive.write("adam", adam);
  write_file_atomically(folder / kFile, [&](const ByteSink& sink) { write(archive, sink); });
}

TrainingProgress Trainer::take_up(const std::filesystem::path& folder) {
  const auto path = folder / kFile;
  if (is_absent(path)) return {};
  const torch::NoGradGuard no_grad;
  try {
    torch::serialize::InputArchive archive;
    archive.load_from(path.string());
    c10::IValue problem;
    archive.read("problem", problem);
    if (problem.toStringRef() != options_.problem)
      throw InputError(path.string() +
                       ": is the state of another training (other weights, data or settings); remove it or "
                       "name another --work folder");
    const auto read = [&](const std::string& name, at::Tensor& to) {
      at::Tensor kept;
      archive.read(name, kept);
      if (kept.sizes() != to.sizes()) throw InputError(not_of_this(path));  // copy_ would repeat it
      to.copy_(kept);
    };
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      read("tensor" + std::to_string(i), tensors_[i]);
      if (average_) read("average" + std::to_string(i), average_->tensors()[i]);
    }
    torch::serialize::InputArchive adam;
    archive.read("adam", adam);
    optimizer_->load(adam);
    at::Tensor seconds;
    archive.read("seconds", seconds);
    at::Tensor step;
    archive.read("step", step);
    return {step.item<std::int64_t>(), seconds.item<double>()};
  } catch (const c10::Error&) {
    throw InputError(not_of_this(path));
  }
}

}  // namespace quboprune
