#pragma once

#include <string_view>

namespace quboprune {

/// Lets the process keep the memory that it frees, for programs that allocate large tensors over and over.
/// glibc gives blocks of more than 32 MB (8 activations of 64x128x128) back to the system each time, and the
/// top of its heap: taking them again is a page fault for every 4 KB, which made elementwise operators 4 to 7
/// times and convolutions 1.25 times as slow (docs/refinement.md). The price: memory that was needed once
/// stays taken, and may fragment. Once a process, early; does nothing where the C library isn't glibc.
void keep_freed_memory();

/// Whether a message of LibTorch's says that its allocator got no memory: it throws c10::Error for that as
/// for everything else, and memory isn't the data's fault.
bool says_no_memory(std::string_view message);

}  // namespace quboprune
