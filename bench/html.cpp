#include <fmt/format.h>

#include <algorithm>

#include "results.hpp"

namespace bench {
namespace {

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '<':
        out += "&lt;";
        break;
      case '&':
        out += "&amp;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

// A bar: its length is the middle, the line through its end reaches from the least to the most of all rounds.
struct Bar {
  std::string label;
  double least = 0;
  double middle = 0;
  double most = 0;
};

std::string plot(const std::vector<Bar>& bars) {
  constexpr int row = 22;
  constexpr int left = 150;
  constexpr double width = 420;
  double most = 0;
  for (const Bar& bar : bars) most = std::max(most, bar.most);
  const auto x = [&](double value) { return left + value / most * width; };
  std::string svg = fmt::format("<svg width='680' height='{}' role='img'>\n", row * static_cast<int>(bars.size()) + 4);
  int y = 2;
  for (const Bar& bar : bars) {
    const char* const colour = bar.label.starts_with("fuselage") ? "#2a6fb0"
                               : bar.label.starts_with("raw")    ? "#777"
                                                                 : "#c9a24b";
    svg += fmt::format("<text x='{}' y='{}' text-anchor='end'>{}</text>", left - 8, y + 15, escaped(bar.label));
    svg += fmt::format("<rect x='{}' y='{}' width='{:.1f}' height='{}' fill='{}'/>", left, y + 3, x(bar.middle) - left,
                       row - 6, colour);
    svg += fmt::format("<path d='M{:.1f} {}H{:.1f}' stroke='#000'/>", x(bar.least), y + row / 2, x(bar.most));
    svg += fmt::format("<text x='{:.1f}' y='{}'>{:.4g}</text>\n", x(bar.most) + 6, y + 15, bar.middle);
    y += row;
  }
  return svg + "</svg>\n";
}

std::string plots(const Results& results, Mode mode) {
  std::string text;
  for (const std::string& metric : results.metrics) {
    std::vector<Bar> bars;
    for (const std::string& subject : results.subjects) {
      const Series* const series = results.find(subject, metric, mode);
      if (series == nullptr) continue;
      std::vector<double> values;
      for (const Sample& sample : series->samples) {
        values.push_back(mode == Mode::pinned ? sample.cpu_us() : sample.rate() / 1000);
      }
      std::sort(values.begin(), values.end());
      bars.push_back({subject, values.front(), values[values.size() / 2], values.back()});
    }
    if (!bars.empty()) text += fmt::format("<h3>{}</h3>\n{}", escaped(metric), plot(bars));
  }
  return text;
}

}  // namespace

std::string to_html(const Results& results) {
  std::string text =
      "<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>fuselage: performance</title>\n"
      "<style>body{font:14px sans-serif;max-width:60em;margin:2em auto}svg{font:12px sans-serif;display:block}"
      "pre{overflow-x:auto}</style>\n<h1>Performance</h1>\n";
  text += "<h2>CPU time, one client on the CPU of the server: microseconds for each operation, less is better</h2>\n" +
          plots(results, Mode::pinned);
  text += "<h2>Rate, one client: thousand operations a second, more is better</h2>\n" + plots(results, Mode::free);
  text += "<h2>Rate, two clients: thousand operations a second, more is better</h2>\n" + plots(results, Mode::two);
  text += fmt::format("<h2>In numbers</h2>\n<pre>{}</pre>\n</html>\n", escaped(to_markdown(results)));
  return text;
}

}  // namespace bench
