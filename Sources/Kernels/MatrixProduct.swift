internal import COpenBLAS
internal import Synchronization

/// Dense matrix products through OpenBLAS, one thread.
///
/// The serial flavour of OpenBLAS works in memory that its callers share, so only one thread at a
/// time may be inside: ranks that are threads take turns; a rank that is a process never waits.
///
/// For the layers of backbones with dense parts. Callers run one product per shard, so that the
/// shapes, and with them the rounding, do not depend on the number of ranks.
package enum MatrixProduct {
  private static let turn = Mutex(())

  /// Keeps OpenBLAS to the calling thread; ranks are the only parallelism. Call once at start.
  package static func useOneThread() { openblas_set_num_threads(1) }

  /// `c ← a · b + scale · c`, with `a` or `b` transposed on request; all row-major.
  ///
  /// - Parameters:
  ///   - rows: `M`.
  ///   - columns: `N`.
  ///   - inner: `K`; with 0 the product is zero.
  ///   - a: `(M, K)`, or `(K, M)` when `transposeA`.
  ///   - b: `(K, N)`, or `(N, K)` when `transposeB`.
  ///   - c: `(M, N)`.
  ///   - scale: 0 overwrites `c`, 1 adds to it.
  ///   - transposeA: Whether `a` is stored transposed.
  ///   - transposeB: Whether `b` is stored transposed.
  /// - Complexity: O(M · N · K).
  package static func multiply(
    rows: Int, columns: Int, inner: Int, _ a: UnsafePointer<Float>, _ b: UnsafePointer<Float>,
    into c: UnsafeMutablePointer<Float>, scale: Float = 0, transposeA: Bool = false,
    transposeB: Bool = false
  ) {
    unsafe multiply(
      rows: rows, columns: columns, inner: inner, Matrix(a, stride: transposeA ? rows : inner),
      Matrix(b, stride: transposeB ? inner : columns), into: MutableMatrix(c, stride: columns),
      scale: scale, transposeA: transposeA, transposeB: transposeB)
  }

  /// `c ← factor · a · b + scale · c` on parts of larger matrices.
  ///
  /// The bits depend on the shape and the numbers alone, not on where the matrices lie.
  ///
  /// - Parameters:
  ///   - rows: `M`.
  ///   - columns: `N`.
  ///   - inner: `K`; with 0 the product is zero.
  ///   - a: `(M, K)`, or `(K, M)` when `transposeA`.
  ///   - b: `(K, N)`, or `(N, K)` when `transposeB`.
  ///   - c: `(M, N)`; what lies between its rows stays.
  ///   - factor: Multiplies the product.
  ///   - scale: 0 overwrites `c`, 1 adds to it.
  ///   - transposeA: Whether `a` is stored transposed.
  ///   - transposeB: Whether `b` is stored transposed.
  /// - Complexity: O(M · N · K).
  package static func multiply(
    rows: Int, columns: Int, inner: Int, _ a: Matrix, _ b: Matrix, into c: MutableMatrix,
    factor: Float = 1, scale: Float = 0, transposeA: Bool = false, transposeB: Bool = false
  ) {
    guard rows > 0, columns > 0 else { return }
    guard let m = Int32(exactly: rows), let n = Int32(exactly: columns),
      let k = Int32(exactly: inner), let strideA = Int32(exactly: a.stride),
      let strideB = Int32(exactly: b.stride), let strideC = Int32(exactly: c.stride)
    else { preconditionFailure("a matrix of a microbatch has fewer than 2³¹ rows and columns") }
    turn.withLock { _ in
      unsafe cblas_sgemm(
        CblasRowMajor, transposeA ? CblasTrans : CblasNoTrans,
        transposeB ? CblasTrans : CblasNoTrans, m, n, k, factor, a.base, max(1, strideA), b.base,
        max(1, strideB), scale, c.base, strideC)
    }
  }
}
