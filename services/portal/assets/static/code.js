// A QR code leads here with its voting code behind the #, which no server is
// sent. Put it into the form, and take it out of the address.
const code = decodeURIComponent(location.hash.slice(1));
const field = document.querySelector("input[name=code]");
if (code && field) {
  field.value = code;
  history.replaceState(null, "", location.pathname);
}
