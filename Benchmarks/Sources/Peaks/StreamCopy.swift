import Foundation
import Kernels

/// Copying from one large array to another, front to back.
///
/// McCalpin, *Memory bandwidth and machine balance in current high performance computers*, IEEE
/// TCCA 1995: bytes read and bytes written are counted, the reads that ordinary stores cause are
/// not.
package final class StreamCopy {
  private let source: AlignedBuffer<Float>
  private let target: AlignedBuffer<Float>

  /// Two arrays of `bytes` each, a multiple of 64.
  package init(bytes: Int) {
    source = AlignedBuffer(count: bytes / 4)
    target = AlignedBuffer(count: bytes / 4)
    // Reading pages that were never written reads one shared page of zeros.
    for index in 0..<source.count { unsafe source.pointer[index] = Float(index & 0xff) }
  }

  /// Bytes counted per call.
  package var bytes: Int { 8 * source.count }

  /// Copies with ordinary loads and stores, as the kernels do.
  package func copy() {
    let (from, to) = unsafe (UnsafePointer(source.pointer), target.pointer)
    for column in stride(from: 0, to: source.count, by: 16) {
      unsafe store8(load8(from + column), to + column)
      unsafe store8(load8(from + column + 8), to + column + 8)
    }
  }

  /// Copies with the C library, which may write past the caches.
  package func copyThroughLibrary() {
    unsafe memcpy(target.pointer, source.pointer, 4 * source.count)
  }
}
