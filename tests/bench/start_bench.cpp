// From process start to the first answer of a ViT-B/16: start_bench VITKIT WORK_DIR [RUNS]. Writes a checkpoint folder
// with random weights (once) and a picture into WORK_DIR, then runs `vitkit classify` on it again and again, as a shell
// would, and prints wall time and peak memory as the kernel counts them. The page cache is warm after the first run,
// which does not count.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "vit/core/check.h"
#include "vit/core/rng.h"
#include "vit/io/safetensors.h"
#include "vit/models/build.h"

namespace {

namespace fs = std::filesystem;

constexpr const char* kModel = "vit_base_patch16_224";

/// A timm folder of kModel with small random weights; what is there already is kept.
void write_checkpoint(const fs::path& folder) {
  if (fs::exists(folder / "model.safetensors")) return;
  fs::create_directories(folder);
  const nlohmann::json config = {{"architecture", kModel}, {"num_classes", 1000}};
  std::ofstream(folder / "config.json") << config.dump(2) << "\n";
  const vit::ModelPlan plan = vit::plan_model({config, "start_bench"});
  std::vector<vit::SafetensorsEntry> entries;
  plan.model->visit_parameters([&](const std::string& name, vit::Parameter& parameter) {
    vit::Tensor value = vit::Tensor::empty(parameter.shape);
    vit::Rng rng(0, vit::Rng::stream_of(name));
    vit::fill_normal(value, rng, 0.02f);
    entries.push_back({name, value});
  });
  vit::write_safetensors(folder / "model.safetensors", entries, {{"format", "pt"}});
}

/// A 224 x 224 picture of colour ramps, binary PPM.
void write_picture(const fs::path& file) {
  std::ofstream out(file, std::ios::binary);
  out << "P6\n224 224\n255\n";
  for (int y = 0; y < 224; ++y) {
    for (int x = 0; x < 224; ++x) out.put(static_cast<char>(x)).put(static_cast<char>(y)).put(static_cast<char>(x ^ y));
  }
}

struct Run {
  double wall_ms;
  double peak_mb;
};

/// Runs a command with its output thrown away. Errors: it cannot be started, or fails.
Run run(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = fork();
  vit::check(child >= 0, "start_bench: cannot fork");
  if (child == 0) {
    const int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDOUT_FILENO);
    dup2(nothing, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(127);
  }
  int status = 0;
  rusage usage{};
  vit::check(wait4(child, &status, 0, &usage) == child, "start_bench: lost the child process");
  const std::chrono::duration<double, std::milli> wall = std::chrono::steady_clock::now() - start;
  vit::check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "start_bench: ", command[0], " ", command[1], " failed");
  return {wall.count(), static_cast<double>(usage.ru_maxrss) / 1024.0};
}

void measure(const std::string& what, const std::vector<std::string>& command, int runs) {
  run(command);
  std::vector<double> wall, peak;
  for (int i = 0; i < runs; ++i) {
    const Run one = run(command);
    wall.push_back(one.wall_ms);
    peak.push_back(one.peak_mb);
  }
  std::sort(wall.begin(), wall.end());
  fmt::print("{:<40} median {:7.1f} ms   min {:7.1f} ms   peak {:6.1f} MB\n", what, wall[wall.size() / 2], wall[0],
             *std::max_element(peak.begin(), peak.end()));
}

}  // namespace

int main(int argc, char** argv) try {
  vit::check(argc >= 3, "usage: start_bench VITKIT WORK_DIR [RUNS]");
  const std::string vitkit = argv[1];
  const fs::path folder = fs::absolute(argv[2]);
  const int runs = argc > 3 ? std::atoi(argv[3]) : 11;
  vit::check(runs > 0, "start_bench: RUNS must be a positive number, not '", argc > 3 ? argv[3] : "", "'");
  fs::create_directories(folder);
  write_checkpoint(folder / kModel);
  write_picture(folder / "ramps.ppm");
  const std::string checkpoint = (folder / kModel).string();
  measure("vitkit --version", {vitkit, "--version"}, runs);
  measure("vitkit info", {vitkit, "info", "--model", checkpoint}, runs);
  measure("vitkit classify, one picture", {vitkit, "classify", "--model", checkpoint, (folder / "ramps.ppm").string()},
          runs);
  return 0;
} catch (const std::exception& error) {
  fmt::print(stderr, "{}\n", error.what());
  return 1;
}
