import Randomness

/// Takes the labels off all but a share of the labeled training rows.
///
/// Of `n` rows exactly round(share · n) stay: row `k`, counted in file order, stays when place `k`
/// of a permutation keyed by the seed holds a number below that. A walk over all rows uses one
/// value of this type from front to back.
struct Thinning {
  /// Labeled rows that stay.
  let kept: Int
  private let order: Permutation?
  private let replacement: LogRow.Label
  private var position = 0

  /// - Parameters:
  ///   - count: Labeled training rows.
  ///   - options: Their share, their fate and the seed.
  init(count: Int, _ options: PreparationOptions) {
    kept = Int((options.labelFraction * Double(count)).rounded())
    order =
      kept == count ? nil : Permutation(count: count, seed: options.seed, purpose: .thinning)
    replacement = options.thinned == .drop ? .discarded : .none
  }

  /// The next row in file order, as it is to be kept.
  mutating func callAsFunction(_ row: LogRow) -> LogRow {
    guard let order, row.isTraining, row.isLabeled else { return row }
    defer { position += 1 }
    guard order[position] >= kept else { return row }
    var thinned = row
    thinned.label = replacement
    return thinned
  }
}
