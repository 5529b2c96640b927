import Foundation

/// The metrics by their definitions, slowly and without the arrangements of the module.
enum Oracle {
  /// Over all pairs of a positive and a negative.
  static func area(_ rows: [LabeledRow]) -> Double? {
    var (wins, pairs) = (0.0, 0.0)
    for positive in rows where positive.label == 1 {
      for negative in rows where negative.label == 0 {
        pairs += 1
        wins += positive.score > negative.score ? 1 : positive.score == negative.score ? 0.5 : 0
      }
    }
    return pairs > 0 ? wins / pairs : nil
  }

  static func byUser(_ rows: [LabeledRow]) -> [[LabeledRow]] {
    Dictionary(grouping: rows, by: \.user).sorted { $0.key < $1.key }.map(\.value)
  }

  static func mean(_ values: [Double]) -> Double? {
    values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
  }

  /// Users with rows of both labels.
  static func judged(_ rows: [LabeledRow]) -> [[LabeledRow]] {
    byUser(rows).filter { Set($0.map(\.label)).count == 2 }
  }

  static func groupedArea(_ rows: [LabeledRow]) -> Double? {
    mean(judged(rows).compactMap { area($0) })
  }

  /// The mean of `metric` over every order of the rows in which no score comes after a lower one.
  static func overTiedOrders(_ rows: [LabeledRow], _ metric: ([UInt8]) -> Double) -> Double {
    var (sum, count) = (0.0, 0.0)
    func extend(_ order: [UInt8], _ rest: [LabeledRow]) {
      guard let best = rest.map(\.score).max() else {
        sum += metric(order)
        count += 1
        return
      }
      for index in rest.indices where rest[index].score == best {
        var others = rest
        others.remove(at: index)
        extend(order + [rest[index].label], others)
      }
    }
    extend([], rows)
    return sum / count
  }

  static func gain(_ labels: [UInt8], _ cutoff: Int) -> Double {
    zip(1..., labels.prefix(cutoff)).reduce(0) { $0 + Double($1.1) / log2(Double($1.0) + 1) }
  }

  static func normalisedGain(_ rows: [LabeledRow], cutoff: Int) -> Double? {
    mean(
      judged(rows).map { user in
        let ideal = gain(user.map(\.label).sorted(by: >), cutoff)
        return overTiedOrders(user) { gain($0, cutoff) } / ideal
      })
  }

  static func reciprocalRank(_ rows: [LabeledRow]) -> Double? {
    mean(
      judged(rows).map { user in
        overTiedOrders(user) { labels in
          labels.firstIndex(of: 1).map { 1 / Double($0 + 1) } ?? 0
        }
      })
  }

  /// Straight from the logistic function; for scores of moderate size.
  static func logLoss(_ rows: [LabeledRow]) -> Double? {
    mean(
      rows.map { row in
        let probability = 1 / (1 + exp(-Double(row.score)))
        return -log(row.label == 1 ? probability : 1 - probability)
      })
  }
}
