#include "results.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "goals.hpp"

namespace bench {
namespace {

template <class Value>
std::vector<double> sorted(const std::vector<Sample>& samples, Value value) {
  std::vector<double> values;
  for (const Sample& sample : samples) values.push_back(value(sample));
  std::sort(values.begin(), values.end());
  return values;
}
double middle(const std::vector<double>& values) { return values.empty() ? 0 : values[values.size() / 2]; }

}  // namespace

double Series::least_cpu_us() const {
  const auto values = sorted(samples, [](const Sample& sample) { return sample.cpu_us(); });
  return values.empty() ? 0 : values.front();
}
double Series::median_cpu_us() const {
  return middle(sorted(samples, [](const Sample& sample) { return sample.cpu_us(); }));
}
double Series::median_rate() const {
  return middle(sorted(samples, [](const Sample& sample) { return sample.rate(); }));
}
double Series::best_rate() const {
  const auto values = sorted(samples, [](const Sample& sample) { return sample.rate(); });
  return values.empty() ? 0 : values.back();
}

const Series* Results::find(std::string_view subject, std::string_view metric, Mode mode) const {
  const auto at = std::find_if(series.begin(), series.end(), [&](const Series& one) {
    return one.subject == subject && one.metric == metric && one.mode == mode && !one.samples.empty();
  });
  return at != series.end() ? &*at : nullptr;
}

Series& Results::at(std::string_view subject, std::string_view metric, Mode mode) {
  for (Series& one : series) {
    if (one.subject == subject && one.metric == metric && one.mode == mode) return one;
  }
  return series.emplace_back(Series{std::string(subject), std::string(metric), mode, {}});
}

std::string to_json(const Results& results) {
  using Json = nlohmann::ordered_json;
  Json json;
  for (const auto& [key, value] : results.machine) json["machine"][key] = value;
  json["command"] = results.command;
  json["rounds"] = results.rounds;
  json["subjects"] = results.subjects;
  for (const Skipped& skipped : results.skipped) json["skipped"][skipped.subject] = skipped.why;
  json["results"] = Json::array();
  for (const Series& series : results.series) {
    Json one = {{"subject", series.subject},
                {"metric", series.metric},
                {"mode", name(series.mode)},
                {"cpu_us_per_op", {{"min", series.least_cpu_us()}, {"median", series.median_cpu_us()}}},
                {"ops_per_s", {{"median", series.median_rate()}, {"best", series.best_rate()}}}};
    for (const Sample& sample : series.samples) {
      one["samples"].push_back({{"ops", sample.ops},
                                {"wall_s", sample.wall},
                                {"client_cpu_s", sample.client_cpu},
                                {"server_cpu_s", sample.server_cpu}});
    }
    json["results"].push_back(std::move(one));
  }
  for (const Workload& one : results.workloads) json["workloads"][one.name][one.subject] = one.seconds;
  if (results.idle) {
    json["idle"] = {{"wake_ups_per_s", results.idle->wake_ups_per_second},
                    {"resident_mib", results.idle->resident_mib}};
  }
  for (const NodeMemory& one : results.nodes) json["bytes_per_node"][one.subject] = one.bytes;
  for (const Goal& goal : goals(results)) {
    json["goals"].push_back(
        {{"goal", goal.text}, {"measured", goal.measured}, {"floor", goal.floor}, {"verdict", goal.verdict()}});
  }
  return json.dump(2) + "\n";
}

}  // namespace bench
