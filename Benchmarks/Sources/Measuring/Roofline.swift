/// What one call of a kernel moves and computes, by its definition, not by counters.
package struct KernelWork: Equatable, Sendable {
  /// Batch rows, the unit of `ns per row`.
  package let rows: Double
  /// Bytes read and bytes written, each access counted once even if it hits a cache.
  package let bytes: Double
  /// Floating-point operations; a fused multiply-add is two.
  package let operations: Double

  package init(rows: Double, bytes: Double, operations: Double) {
    self.rows = rows
    self.bytes = bytes
    self.operations = operations
  }
}

/// The machine's limits for a kernel: Williams, Waterman, Patterson, *Roofline: an insightful
/// visual performance model*, CACM 2009.
package struct Roofline: Equatable, Sendable {
  /// Bytes per second of the memory the kernel's rows come from.
  package let bandwidth: Double
  /// Floating-point operations per second of one core.
  package let arithmetic: Double

  package init(bandwidth: Double, arithmetic: Double) {
    self.bandwidth = bandwidth
    self.arithmetic = arithmetic
  }

  /// The shortest time the machine could take, in seconds, bytes and arithmetic overlapped.
  package func leastSeconds(_ work: KernelWork) -> Double {
    max(work.bytes / bandwidth, work.operations / arithmetic)
  }

  /// The limit at an intensity of `x` operations per byte, in operations per second.
  package func limit(intensity x: Double) -> Double { min(arithmetic, x * bandwidth) }
}

/// What a training run may occupy.
package enum MemoryBound {
  /// `1.3 × (parameters + optimizer state + id dictionaries) + 64 MiB`, in bytes.
  package static func bytes(parameters: Int, state: Int, dictionaries: Int) -> Double {
    1.3 * Double(parameters + state + dictionaries) + 64 * 1_048_576
  }
}
