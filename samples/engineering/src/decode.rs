//! Decoding of frames, version 3.

use std::fmt;

pub const HEADER: usize = 16;
pub const READING: usize = 8;

/// One level with its time and quality.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Microseconds since 1970.
    pub time: u64,
    /// Tenths of a millimetre above local datum.
    pub level: i32,
    pub quality: u16,
}

#[derive(Debug, PartialEq, Eq)]
pub enum FrameError {
    TooShort { have: usize, need: usize },
    Version(u8),
    Crc { stored: u16, computed: u16 },
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::TooShort { have, need } => write!(f, "{have} bytes, need {need}"),
            FrameError::Version(v) => write!(f, "unknown version {v}"),
            FrameError::Crc { stored, computed } => {
                write!(f, "CRC {stored:04x} stored, {computed:04x} computed")
            }
        }
    }
}

/// Decode a whole frame. Nothing is returned of a frame whose CRC is wrong.
pub fn decode(frame: &[u8]) -> Result<Vec<Reading>, FrameError> {
    need(frame, HEADER)?;
    if frame[0] != 3 {
        return Err(FrameError::Version(frame[0]));
    }
    let count = u16::from_le_bytes([frame[2], frame[3]]) as usize;
    let body = HEADER + count * READING;
    need(frame, body + 2)?;
    let stored = u16::from_le_bytes([frame[body], frame[body + 1]]);
    let computed = crc16(&frame[..body]);
    if stored != computed {
        return Err(FrameError::Crc { stored, computed });
    }
    let mut time = u64::from_le_bytes(frame[8..16].try_into().unwrap());
    let mut readings = Vec::with_capacity(count);
    for chunk in frame[HEADER..body].chunks_exact(READING) {
        time += u64::from(u16::from_le_bytes([chunk[0], chunk[1]])) * 1_000_000;
        readings.push(Reading {
            time,
            level: i32::from_le_bytes(chunk[2..6].try_into().unwrap()),
            quality: u16::from_le_bytes([chunk[6], chunk[7]]),
        });
    }
    Ok(readings)
}

fn need(frame: &[u8], need: usize) -> Result<(), FrameError> {
    if frame.len() < need {
        return Err(FrameError::TooShort { have: frame.len(), need });
    }
    Ok(())
}

/// CRC-16/CCITT, as in the gauge's boot loader.
fn crc16(bytes: &[u8]) -> u16 {
    let mut crc: u16 = 0xffff;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 != 0 { (crc << 1) ^ 0x1021 } else { crc << 1 };
        }
    }
    crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_frame_is_named() {
        assert_eq!(decode(&[3, 0]), Err(FrameError::TooShort { have: 2, need: 16 }));
    }
}
