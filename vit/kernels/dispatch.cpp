// Chooses the table of kernels: the widest set that this build has and this CPU can run, or the one VITKIT_ISA names.
#include <cstdlib>
#include <string>

#include "vit/core/check.h"
#include "vit/kernels/kernels.h"

namespace vit::kernels {

const KernelTable& table_scalar();
#if defined(VITKIT_HAVE_SSE2)
const KernelTable& table_sse2();
#endif
#if defined(VITKIT_HAVE_AVX2)
const KernelTable& table_avx2();
#endif
#if defined(VITKIT_HAVE_AVX512)
const KernelTable& table_avx512();
#endif
#if defined(VITKIT_HAVE_NEON64)
const KernelTable& table_neon64();
#endif

namespace {

struct Candidate {
  const KernelTable& (*table)();  ///< called only when it runs: it lives in the object that is compiled for the set
  bool runs;
};

// __builtin_cpu_supports asks cpuid and, for the wide registers, whether the operating system saves them.
bool cpu_has_avx2() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
  return false;
#endif
}

bool cpu_has_avx512() {
#if defined(__x86_64__)
  return cpu_has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512cd") &&
         __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
#else
  return false;
#endif
}

/// Every table of this build, slowest first, and whether this CPU can run it.
template <class Visit>
void for_candidates(const Visit& visit) {
  visit(Candidate{table_scalar, true});
#if defined(VITKIT_HAVE_SSE2)
  visit(Candidate{table_sse2, true});
#endif
#if defined(VITKIT_HAVE_NEON64)
  visit(Candidate{table_neon64, true});
#endif
#if defined(VITKIT_HAVE_AVX2)
  visit(Candidate{table_avx2, cpu_has_avx2()});
#endif
#if defined(VITKIT_HAVE_AVX512)
  visit(Candidate{table_avx512, cpu_has_avx512()});
#endif
}

const KernelTable& choose() {
  const char* wanted = std::getenv("VITKIT_ISA");
  const KernelTable* best = nullptr;
  const KernelTable* named = nullptr;
  std::string available;
  for_candidates([&](const Candidate& candidate) {
    if (!candidate.runs) return;
    best = &candidate.table();
    available += (available.empty() ? "" : ", ") + std::string(best->name);
    if (wanted && std::string(wanted) == best->name) named = best;
  });
  if (!wanted || !*wanted) return *best;
  if (!named) fail_usage("VITKIT_ISA=", wanted, ": expected one of the instruction sets of this machine: ", available);
  return *named;
}

}  // namespace

const KernelTable& kernels() {
  static const KernelTable& table = choose();
  return table;
}

const KernelTable* kernels_for(Isa isa) {
  const KernelTable* found = nullptr;
  for_candidates([&](const Candidate& candidate) {
    if (candidate.runs && candidate.table().isa == isa) found = &candidate.table();
  });
  return found;
}

}  // namespace vit::kernels
