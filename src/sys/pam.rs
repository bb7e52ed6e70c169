//! PAM, the system's way to check a user's password; its library is opened when it is first needed.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::ptr;
use std::time::Duration;

use libloading::Library;

/// Linux-PAM's numbers, from its headers.
const SUCCESS: c_int = 0;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;
const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;
const FAIL_DELAY: c_int = 10;
const SILENT: c_int = 0x8000;
const DISALLOW_NULL_AUTHTOK: c_int = 1;

/// The opened library.
pub(crate) struct Pam {
    start: Start,
    end: unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
    set_item: unsafe extern "C" fn(*mut Handle, c_int, *const c_void) -> c_int,
    authenticate: unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
    acct_mgmt: unsafe extern "C" fn(*mut Handle, c_int) -> c_int,
    strerror: unsafe extern "C" fn(*mut Handle, c_int) -> *const c_char,
    /// Closed last.
    _library: Library,
}

/// What came of an attempt.
pub(crate) struct Verdict {
    /// `Err`: what PAM says why not.
    pub(crate) result: Result<(), String>,
    /// How long PAM wants the caller to wait before he tells anybody.
    pub(crate) delay: Duration,
}

type Start =
    unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut *mut Handle) -> c_int;

/// `pam_handle_t`, which nobody looks into.
#[repr(C)]
struct Handle {
    _private: [u8; 0],
}

/// `struct pam_conv`.
#[repr(C)]
struct Conversation {
    converse: unsafe extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

/// `struct pam_message`.
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// `struct pam_response`.
#[repr(C)]
struct Response {
    text: *mut c_char,
    unused: c_int,
}

/// What the callbacks know.
struct Attempt<'a> {
    password: &'a CStr,
    delay: Duration,
}

impl Pam {
    /// Opens the library.
    ///
    /// # Errors
    /// There is none, or not such a one.
    pub(crate) fn open() -> Result<Pam, libloading::Error> {
        // SAFETY: the library is the system's own, whose initialisers every program that knows users runs. The types of the
        // functions are those of its headers, and they are used only as long as the library is open.
        unsafe {
            let library = Library::new("libpam.so.0")?;
            Ok(Pam {
                start: *library.get(b"pam_start\0")?,
                end: *library.get(b"pam_end\0")?,
                set_item: *library.get(b"pam_set_item\0")?,
                authenticate: *library.get(b"pam_authenticate\0")?,
                acct_mgmt: *library.get(b"pam_acct_mgmt\0")?,
                strerror: *library.get(b"pam_strerror\0")?,
                _library: library,
            })
        }
    }

    /// Asks the modules of `service` whether this is the user's password, and whether he may come in. Blocks as long as they
    /// do. Questions for anything but the password are not answered.
    pub(crate) fn check(&self, service: &CStr, user: &CStr, password: &CStr) -> Verdict {
        let mut attempt = Attempt { password, delay: Duration::ZERO };
        let data: *mut Attempt<'_> = &mut attempt;
        let conversation = Conversation { converse, data: data.cast() };
        let mut handle = ptr::null_mut();
        // SAFETY: the texts end with a zero, the conversation and its data live until `pam_end`, and nobody but the callbacks
        // uses the data meanwhile. After a `pam_start` that succeeded there is a handle, which `pam_end` ends.
        let result = unsafe {
            let mut status = (self.start)(service.as_ptr(), user.as_ptr(), &conversation, &mut handle);
            if status == SUCCESS {
                let delay: unsafe extern "C" fn(c_int, c_uint, *mut c_void) = note_delay;
                status = (self.set_item)(handle, FAIL_DELAY, delay as *const c_void);
            }
            if status == SUCCESS {
                status = (self.authenticate)(handle, SILENT | DISALLOW_NULL_AUTHTOK);
            }
            if status == SUCCESS {
                status = (self.acct_mgmt)(handle, SILENT | DISALLOW_NULL_AUTHTOK);
            }
            let result = if status == SUCCESS { Ok(()) } else { Err(self.describe(handle, status)) };
            if !handle.is_null() {
                (self.end)(handle, status);
            }
            result
        };
        Verdict { result, delay: attempt.delay }
    }

    /// # Safety
    /// The handle is null or has not been ended.
    unsafe fn describe(&self, handle: *mut Handle, status: c_int) -> String {
        // SAFETY: as promised; the text belongs to the library and ends with a zero.
        let text = unsafe {
            let text = (self.strerror)(handle, status);
            if text.is_null() { c"PAM says no" } else { CStr::from_ptr(text) }
        };
        text.to_string_lossy().into_owned()
    }
}

/// Answers the questions of PAM's modules: prompts without echo with the password, others with an error.
unsafe extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let Ok(count) = usize::try_from(count) else { return CONV_ERR };
    // SAFETY: PAM gives `count` messages, a place for the answers, and the data of the conversation. The answers are memory of
    // `malloc`, which PAM frees.
    unsafe {
        let attempt = &*data.cast::<Attempt<'_>>();
        let answers = libc::calloc(count.max(1), size_of::<Response>()).cast::<Response>();
        if answers.is_null() {
            return BUF_ERR;
        }
        for at in 0..count {
            let answer = &mut (*answers.add(at)).text;
            let fault = match (**messages.add(at)).style {
                PROMPT_ECHO_OFF => {
                    *answer = libc::strdup(attempt.password.as_ptr());
                    if answer.is_null() { BUF_ERR } else { SUCCESS }
                }
                ERROR_MSG | TEXT_INFO => SUCCESS,
                _ => CONV_ERR,
            };
            if fault != SUCCESS {
                for answer in 0..at {
                    forget((*answers.add(answer)).text);
                }
                libc::free(answers.cast());
                return fault;
            }
        }
        *responses = answers;
    }
    SUCCESS
}

/// Overwrites and frees an answer that nobody will read.
///
/// # Safety
/// It is null, or a text of `strdup`.
unsafe fn forget(text: *mut c_char) {
    if !text.is_null() {
        // SAFETY: as promised.
        unsafe {
            libc::explicit_bzero(text.cast(), libc::strlen(text));
            libc::free(text.cast());
        }
    }
}

/// Takes the place of PAM's own sleep after a failure.
unsafe extern "C" fn note_delay(status: c_int, microseconds: c_uint, data: *mut c_void) {
    if status != SUCCESS {
        // SAFETY: PAM calls this with the data of the conversation, from within `authenticate`.
        unsafe { (*data.cast::<Attempt<'_>>()).delay = Duration::from_micros(microseconds.into()) };
    }
}
