// vitkit doctor: examines a data set before somebody trains on it.
#include "datasets/doctor.h"

#include <algorithm>
#include <memory>

#include "apps/doctor_report.h"
#include "apps/output.h"
#include "apps/progress.h"
#include "apps/verbs.h"
#include "vit/core/timer.h"
#include "vit/image/decode.h"

namespace apps {

namespace {

constexpr size_t kSpelledOut = 5;

struct DoctorVerbOptions {
  std::string data, split;
  datasets::DoctorOptions doctor;
};

int doctor(const DoctorVerbOptions& options, const CommonOptions& common) {
  Output output(common);
  const vit::Timer timer;
  Progress progress(common, "images", /*prints_results=*/false);
  const datasets::Examination examination = datasets::examine(
      options.data, options.split, options.doctor, [&](int64_t total) { progress.set_total(total); },
      [&](int64_t count) { progress.advance(count); });
  const std::vector<datasets::Finding> findings = datasets::diagnose(examination);
  clear_progress();
  if (output.format() == Format::text) {
    output.write({}, doctor_report(examination, findings, common.verbose > 0 ? 0 : kSpelledOut));
  } else {
    for (const datasets::Finding& finding : findings)
      output.write({{"severity", name_of(finding.severity)},
                    {"kind", finding.kind},
                    {"source", finding.source},
                    {"detail", finding.detail}},
                   "");
    note(common, "{}: {}", options.data, doctor_summary(findings));
  }
  output.finish();
  detail_note(common, "{} ({}) examined in {:.1f} s", options.data, examination.format, timer.seconds());
  const bool has_errors = std::any_of(findings.begin(), findings.end(), [](const datasets::Finding& finding) {
    return finding.severity == datasets::Severity::error;
  });
  return has_errors ? 1 : 0;
}

}  // namespace

Action add_doctor(CLI::App& command, const CommonOptions& common) {
  auto options = std::make_shared<DoctorVerbOptions>();
  command
      .add_option("DATA", options->data,
                  with_example("Dataset: a folder per class (with or without splits above), CIFAR or MNIST files, "
                               "shards, a table of paths and labels, boxes of COCO, VOC or YOLO, "
                               "scenes:SEED:COUNT, or FORMAT:PATH (vitkit info "
                               "--list datasets)",
                               "photos/ cifar10:data 'shards/train-{000..099}.tar'"))
      ->required();
  command
      .add_option("--split", options->split, with_example("Only this split, where DATA has splits", "--split train"))
      ->type_name("NAME")
      ->default_str("all, and what they share");
  command
      .add_option(
          "--class-map", options->doctor.class_map,
          with_example("File that says which name is which class: a name per line, or YAML", "--class-map classes.txt"))
      ->type_name("F")
      ->default_str("the data set's order");
  command
      .add_option("--min-side", options->doctor.min_side,
                  with_example("Pictures with a shorter side are reported as tiny", "--min-side 64"))
      ->type_name("N")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{0}, int64_t{1} << 24));
  add_max_pixels_option(command, options->doctor.max_pixels);
  command.footer(
      "Errors: pictures that cannot be read (unreadable, truncated, huge), the same\n"
      "picture in two splits (leak) or under two labels (label_conflict), labels out\n"
      "of range, empty and unknown classes. Warnings: duplicates, tiny, large and\n"
      "blank pictures, imbalance, odd class names. Notes: rotated (EXIF), grey and\n"
      "alpha pictures, near duplicates, files that are skipped, class counts.\n"
      "Of sets with boxes (COCO, VOC, YOLO) also: boxes that are left out (error) or\n"
      "clipped, pictures of another size than annotated, boxes that are there twice,\n"
      "tiny boxes, pictures and classes without boxes, box counts.\n"
      "Of sets with captions (COCO, Karpathy, tables): captions that are no UTF-8,\n"
      "empty, or of no picture (error), pictures without captions, repeated captions,\n"
      "counts.\n"
      "Exit status: 0 no error was found; 1 otherwise. No file is changed.\n"
      "\n"
      "EXAMPLES\n"
      "  vitkit doctor path/to/photos\n"
      "  vitkit doctor cifar10:path/to/data --split train -v\n"
      "  vitkit doctor path/to/photos --format json > findings.jsonl");
  return [options, &common] { return doctor(*options, common); };
}

}  // namespace apps
