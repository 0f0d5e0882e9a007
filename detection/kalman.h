// Where a box that moves will be: Kalman filters of constant velocity. Process and measurement noise of the trackers
// here are independent from one coordinate to the next, so their filters of seven or eight dimensions fall into one
// filter of two per coordinate, exactly: the covariances between coordinates begin at zero and stay there.
#pragma once

#include <array>

#include "vit/image/boxes.h"

namespace detection {

/// A coordinate and its velocity per step, with their covariance.
struct MovingCoordinate {
  double position = 0.0, velocity = 0.0;
  double var_position = 0.0, var_velocity = 0.0, covariance = 0.0;

  /// One step: the variances of the process noise are added.
  void predict(double noise_position, double noise_velocity);
  /// A measurement of the position with its variance.
  void correct(double measured, double variance);
};

/// A box as a tracker follows it.
class BoxFilter {
 public:
  virtual ~BoxFilter() = default;
  /// One step without a measurement.
  virtual void predict() = 0;
  /// The box was seen. It has an area.
  virtual void correct(const vit::Corners& box) = 0;
  /// Where it is by now; may have no area after many predictions.
  virtual vit::Corners box() const = 0;
};

/// Centre, aspect ratio (width / height) and height; the noise is in proportion to the height (ByteTrack, which has it
/// from Wojke et al. 2017, "Simple online and realtime tracking with a deep association metric", section 2.1).
class AspectHeightFilter : public BoxFilter {
 public:
  explicit AspectHeightFilter(const vit::Corners& box);
  void predict() override;
  void correct(const vit::Corners& box) override;
  vit::Corners box() const override;
  /// Predictions keep the height from here on: for objects out of sight.
  void stop_growth() { height().velocity = 0.0; }

 private:
  MovingCoordinate& height() { return state_[3]; }
  std::array<MovingCoordinate, 4> state_;
};

/// Centre, area and aspect ratio; the ratio does not change by itself (Bewley et al. 2016, "Simple online and realtime
/// tracking", section 3.2; the noise is that of its authors' code).
class AreaAspectFilter : public BoxFilter {
 public:
  explicit AreaAspectFilter(const vit::Corners& box);
  void predict() override;
  void correct(const vit::Corners& box) override;
  vit::Corners box() const override;

 private:
  std::array<MovingCoordinate, 4> state_;  // the last one never moves
};

}  // namespace detection
