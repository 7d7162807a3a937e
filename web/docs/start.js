// The key stays in the page: nothing is asked of any other host, and no link is shared.
window.SwaggerUIBundle({ url: "../openapi.json", dom_id: "#calls", deepLinking: true, validatorUrl: null });
