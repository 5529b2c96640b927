import Drawing
import Measuring
import Storage

/// The pictures of a report; one that lacks its measurements is left out.
enum Pictures {
  /// Draws into a directory.
  ///
  /// - Returns: How many pictures were written.
  @discardableResult
  static func draw(_ report: Report, into directory: String) throws(Failure) -> Int {
    let pictures = [
      ("training.svg", training(report)), ("batches.svg", batches(report)),
      ("phases.svg", phases(report)), ("scaling.svg", scaling(report)),
      ("roofline.svg", roofline(report)), ("peers.svg", peers(report)),
    ]
    var written = 0
    for case (let name, let text?) in pictures {
      try Files.replace("\(directory)/\(name)", with: Array(text.utf8))
      written += 1
    }
    return written
  }

  private static func training(_ report: Report) -> String? {
    bars(
      report, "Training, one rank, batch 8192", fixed: ["batch": "8192"], along: "factors",
      label: "F")
  }

  private static func batches(_ report: Report) -> String? {
    bars(report, "Training, one rank, F 32", fixed: ["factors": "32"], along: "batch", label: "B")
  }

  private static func bars(
    _ report: Report, _ title: String, fixed: [String: String], along: String, label: String
  ) -> String? {
    let found = report.all("training", "rows_per_second", fixed)
    guard !found.isEmpty else { return nil }
    let values = unique(found.compactMap { $0.parameters[along] })
    let methods = unique(found.compactMap { $0.parameters["method"] })
    return BarChart(
      title: title, unit: "labeled rows/s", categories: values.map { "\(label) \($0)" },
      series: methods.map { method in
        BarChart.Series(
          method,
          values.map { value in
            found.first { $0.parameters["method"] == method && $0.parameters[along] == value }?
              .value.median
          })
      }
    ).svg
  }

  private static func phases(_ report: Report) -> String? {
    let found = report.all("phases", "seconds", ["ranks": "1"])
    guard !found.isEmpty else { return nil }
    let methods = unique(found.compactMap { $0.parameters["method"] })
    let known = unique(found.compactMap { $0.parameters["phase"] })
    let names = PhaseSuite.phases.filter(known.contains)
    return BarChart(
      title: "Time per phase, one rank", unit: "seconds", categories: methods,
      series: names.map { name in
        BarChart.Series(
          name,
          methods.map { method in
            report.find("phases", "seconds", ["ranks": "1", "method": method, "phase": name])?
              .median
          })
      }, isStacked: true
    ).svg
  }

  private static func scaling(_ report: Report) -> String? {
    let kinds = [("strong", "bce"), ("strong", "ig"), ("weak", "bce"), ("weak", "ig")]
    let series = kinds.compactMap { kind, method -> LineChart.Series? in
      let found = report.all(
        "scaling", "\(kind)_speedup", ["method": method, "batch": "8192"])
      guard found.count > 1 else { return nil }
      return LineChart.Series(
        "\(method), \(kind)",
        found.compactMap { item in
          item.parameters["ranks"].flatMap { Double($0) }.map { ($0, item.value.median) }
        })
    }
    guard !series.isEmpty else { return nil }
    return LineChart(
      title: "Scaling, batch 8192, F 32", unit: "× one rank", xLabel: "ranks", series: series,
      showsIdeal: true
    ).svg
  }

  private static func roofline(_ report: Report) -> String? {
    guard let arithmetic = report.find("machine", "arithmetic")?.median else { return nil }
    let roofs = MachineSuite.Residence.allCases.compactMap { residence in
      report.find(
        "machine", "random_read", ["row_bytes": "128", "residence": residence.rawValue]
      ).map {
        (
          name: "128 B rows, \(residence.rawValue)",
          roofline: Roofline(bandwidth: $0.median, arithmetic: arithmetic)
        )
      }
    }
    let points = MachineSuite.Residence.allCases.enumerated().flatMap { roof, residence in
      report.all("kernels", "arithmetic", ["factors": "32", "residence": residence.rawValue])
        .compactMap { item -> RooflineChart.Point? in
          guard let name = item.parameters["kernel"], item.value.median > 0,
            let bandwidth = report.find("kernels", "bandwidth", item.parameters)
          else { return nil }
          return RooflineChart.Point(
            name, intensity: item.value.median / bandwidth.median, rate: item.value.median,
            roof: roof)
        }
    }
    guard !points.isEmpty, roofs.count == MachineSuite.Residence.allCases.count else { return nil }
    return RooflineChart(title: "Kernels, F 32, one core", roofs: roofs, points: points).svg
  }

  private static func peers(_ report: Report) -> String? {
    let found = report.all("peers", "ratio")
    guard !found.isEmpty else { return nil }
    func medians(_ name: String) -> [Double?] {
      found.map { report.find("peers", name, $0.parameters)?.median }
    }
    return BarChart(
      title: "Beside others, one thread, F 32", unit: "labeled rows/s",
      categories: found.map {
        "\($0.parameters["peer"] ?? ""), \($0.parameters["method"] ?? "")"
      },
      series: [
        BarChart.Series("peer", medians("peer_rows_per_second")),
        BarChart.Series("inverse", medians("inverse_rows_per_second")),
      ]
    ).svg
  }

  /// Each value once, in the order of appearance.
  private static func unique(_ values: [String]) -> [String] {
    values.reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
  }
}
