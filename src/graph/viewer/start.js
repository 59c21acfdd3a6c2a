// Shows the document of /v1.0, or with ?beta that of the older beta shape. No validator of another host is asked.
SwaggerUIBundle({
  url: location.search === "?beta" ? "beta/openapi.json" : "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  validatorUrl: null,
});
