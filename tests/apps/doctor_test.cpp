#include <filesystem>

#include "tests/apps/verb_test.h"

namespace vit::test {
namespace {

using testing::HasSubstr;
using testing::Not;

class DoctorVerb : public VerbTest {
 protected:
  DoctorVerb() {
    for (const char* split : {"train", "val"})
      for (const char* folder : {"cat", "dog"})
        for (int i = 0; i < 3; ++i)
          jpeg(std::string("data/") + split + "/" + folder + "/" + std::to_string(i) + ".jpg",
               30 + 7 * i + 3 * (folder[0] == 'c') + 31 * (split[0] == 't'), 40);
  }
  CommandResult doctor(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "doctor");
    return run_vitkit(arguments);
  }
};

TEST_F(DoctorVerb, ReportsGoodData) {
  const CommandResult result = doctor({path("data")});
  EXPECT_EQ(result.status, 0) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("data/train: 6 pictures in 2 classes, 6 readable (split train)"));
  EXPECT_THAT(result.out, HasSubstr("6 pictures in 2 classes: cat 3, dog 3"));
  EXPECT_THAT(result.out, HasSubstr("\n0 errors, "));
}

TEST_F(DoctorVerb, ReportsErrorsInEveryFormat) {
  const std::string broken = dir_.write("data/val/cat/broken.jpg", "no picture").string();
  const CommandResult json = doctor({path("data"), "--format", "json"});
  EXPECT_EQ(json.status, 1);
  const auto record = records(json).at(0);
  EXPECT_EQ(record["severity"], "error");
  EXPECT_EQ(record["kind"], "unreadable");
  EXPECT_EQ(record["source"], broken);
  EXPECT_NE(record["detail"], "");
  EXPECT_EQ(record.size(), 4u);
  EXPECT_THAT(json.err, HasSubstr("1 error, "));

  const CommandResult text = doctor({path("data"), "--quiet"});
  EXPECT_EQ(text.status, 1);
  EXPECT_EQ(text.err, "");
  EXPECT_THAT(text.out, HasSubstr("errors\n  unreadable (1)\n    " + broken));
  const CommandResult csv = doctor({path("data"), "--format", "csv"});
  EXPECT_EQ(csv.lines().at(0), "severity,kind,source,detail");
  EXPECT_EQ(doctor({path("data"), "--split", "train", "--quiet"}).status, 0) << "the broken one is not looked at";
}

TEST_F(DoctorVerb, SpellsOutAFewUnlessAsked) {
  for (int i = 0; i < 9; ++i) dir_.write("data/val/cat/x" + std::to_string(i) + ".jpg", "no picture");
  EXPECT_THAT(doctor({path("data")}).out, HasSubstr("... and 4 more"));
  EXPECT_THAT(doctor({path("data"), "-v"}).out, Not(HasSubstr("more")));
}

TEST_F(DoctorVerb, ChangesNothing) {
  const auto before = std::filesystem::last_write_time(path("data/val/cat"));
  doctor({path("data"), "--output", path("report.txt")});
  EXPECT_EQ(std::filesystem::last_write_time(path("data/val/cat")), before);
  EXPECT_THAT(slurp(path("report.txt")), HasSubstr("notes"));
}

TEST_F(DoctorVerb, RefusesWhatIsNoDataset) {
  expect_refused(doctor({path("none")}), "no such folder");
  expect_refused(doctor({path("data"), "--split", "holdout"}), "no split holdout");
  expect_refused(doctor({"cifar10:" + path("data")}), "data_batch_1.bin");
  expect_refused(doctor({path("data"), "--class-map", path("none.txt")}), "none.txt");
  expect_refused(doctor({}), "DATA");
}

}  // namespace
}  // namespace vit::test
