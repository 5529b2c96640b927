import Kernels
import Objectives
import Testing

@Suite struct TruncatedCrossEntropyTests {
  private static func sizes(_ logits: [Float], _ labels: [Float]) -> [UInt32] {
    let buffers = [logits, labels].map { values in
      let buffer = AlignedBuffer<Float>(count: values.count)
      for (row, value) in values.enumerated() { unsafe buffer.pointer[row] = value }
      return buffer
    }
    let sizes = AlignedBuffer<UInt32>(count: logits.count)
    unsafe TruncatedCrossEntropy.writeSizes(
      of: LogitBatch(
        logits: buffers[0].pointer, labels: buffers[1].pointer, gradients: buffers[0].pointer,
        count: logits.count), into: sizes.pointer)
    return withExtendedLifetime((buffers, sizes)) { unsafe Array(sizes.elements) }
  }

  /// Of a positive row the loss that cross-entropy has, of a negative one 0; in the order of the
  /// bits.
  @Test func sizesAreTheLossesOfPositiveRows() {
    let sizes = Self.sizes(ordinaryLogits, ordinaryLogits.indices.map { Float($0 % 2) })
    for (row, logit) in ordinaryLogits.enumerated() {
      let loss = evaluate(objectives[0].evaluate, logit, label: 1).loss
      #expect(sizes[row] == (row % 2 == 1 ? Float(loss).bitPattern : 0))
    }
    let ordered = zip(sizes, ordinaryLogits).enumerated().filter { $0.offset % 2 == 1 }
    for (one, other) in zip(ordered, ordered.dropFirst()) {
      #expect(one.element.0 >= other.element.0, "a lower score costs more")
    }
  }

  @Test func whatIsNoNumberIsLargerThanEverything() {
    let sizes = Self.sizes([.nan, -.nan, -.infinity, -1e30, 3], [1, 1, 1, 1, 1])
    #expect(sizes[0] > sizes[2] && sizes[1] > sizes[2] && sizes[2] > sizes[3])
    #expect(sizes.allSatisfy { $0 < 1 << 31 })
  }

  @Test func rowsBeyondTheCutLoseTheirDerivatives() {
    let sizes: [UInt32] = [5, 9, 7, 7, 0, 7, 8, 7, 6]
    let buffer = AlignedBuffer<UInt32>(count: sizes.count)
    let gradients = AlignedBuffer<Float>(count: sizes.count)
    for (row, size) in sizes.enumerated() {
      unsafe buffer.pointer[row] = size
      unsafe gradients.pointer[row] = 1
    }
    var leftOver = 2
    unsafe TruncatedCrossEntropy.truncate(
      LogitBatch(
        logits: gradients.pointer, labels: gradients.pointer, gradients: gradients.pointer,
        count: sizes.count), sizes: buffer.pointer, bound: 7, ties: &leftOver)
    let kept = withExtendedLifetime(buffer) { unsafe Array(gradients.elements) }
    #expect(kept == [1, 0, 1, 1, 1, 0, 0, 0, 1])
    #expect(leftOver == 0)
  }

  /// `numpy.linspace(0, 0.2, 5)`, `numpy.linspace(0, 0.2, 1)`.
  @Test func theRateRisesLinearly() {
    func rates(_ steps: Int) -> [Double] {
      (0..<7).map { TruncatedCrossEntropy.dropRate(step: $0, largest: 0.2, steps: steps) }
    }
    #expect(rates(5) == [0, 0.05, 0.1, 0.15000000000000002, 0.2, 0.2, 0.2])
    #expect(rates(1) == [0, 0.2, 0.2, 0.2, 0.2, 0.2, 0.2])
    #expect(rates(0) == [Double](repeating: 0.2, count: 7))
    #expect(rates(2)[1] == 0.2)
    #expect(TruncatedCrossEntropy.keptRows(of: 16, dropRate: 0.15) == 13)
    #expect(TruncatedCrossEntropy.keptRows(of: 10, dropRate: 0) == 10)
    #expect(TruncatedCrossEntropy.keptRows(of: 10, dropRate: 1) == 0)
  }
}
