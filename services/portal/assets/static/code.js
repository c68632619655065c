// A QR code leads here with its voting code behind the #, and a link with a login
// code: no server is sent what is there. Put it into the form, and take it out of
// the address. Without a script it is typed.
const code = decodeURIComponent(location.hash.slice(1));
const field = document.querySelector("input[name=code]");
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
}
